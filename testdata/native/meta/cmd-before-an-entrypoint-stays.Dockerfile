FROM shell
CMD ["kept"]
ENTRYPOINT ["tool"]
