FROM base
CMD echo $HOME
ENTRYPOINT ["/bin/tool", "a b"]
