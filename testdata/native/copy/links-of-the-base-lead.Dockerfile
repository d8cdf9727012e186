FROM base
COPY a.txt /bin/a
COPY a.txt /lib/
COPY a.txt /current/a
COPY a.txt /up/x
COPY conf /opt/conf
COPY a.txt /to-file
COPY conf /current
