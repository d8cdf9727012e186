FROM shell
WORKDIR new
COPY a.txt .
