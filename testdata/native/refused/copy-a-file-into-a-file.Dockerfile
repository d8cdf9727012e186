FROM base
COPY a.txt /srv/file/x
