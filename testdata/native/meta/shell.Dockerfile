FROM base
SHELL ["/bin/ash", "-euxc"]
CMD echo a
ENTRYPOINT b
HEALTHCHECK CMD c
