FROM base
COPY a.txt /opt/a
