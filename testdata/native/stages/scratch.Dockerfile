FROM scratch
COPY a.txt /
COPY conf /conf
WORKDIR /w/x
USER 5
ENV A=1
