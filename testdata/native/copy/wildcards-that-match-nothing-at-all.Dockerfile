FROM base
COPY nothing* /x/
