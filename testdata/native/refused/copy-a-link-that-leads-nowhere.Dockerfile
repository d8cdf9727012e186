FROM base
COPY links/* /x/
