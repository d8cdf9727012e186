FROM base
COPY a.txt nothing* /x/
