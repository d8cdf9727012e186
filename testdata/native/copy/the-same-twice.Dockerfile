FROM base
COPY a.txt /x
COPY a.txt /x
COPY conf /conf
COPY conf /conf
