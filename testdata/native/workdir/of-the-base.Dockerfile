FROM base
WORKDIR rel
COPY a.txt rel/
