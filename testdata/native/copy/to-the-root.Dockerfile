FROM base
COPY conf /
COPY a.txt /
COPY links .
