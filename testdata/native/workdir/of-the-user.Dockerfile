FROM base
USER app
WORKDIR /own/deep
USER 77
WORKDIR more
USER web:staff
WORKDIR most
