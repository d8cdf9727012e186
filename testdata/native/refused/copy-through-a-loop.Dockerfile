FROM base
COPY a.txt /loop/x
