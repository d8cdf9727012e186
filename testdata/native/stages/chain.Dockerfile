FROM base AS one
WORKDIR /one
ENV FROM_ONE=1
COPY a.txt a
FROM one AS two
COPY b.txt b
USER app
FROM two
WORKDIR sub
COPY a.txt .
LABEL end=$FROM_ONE
