FROM base
COPY a.txt /new
COPY a.txt /deep/er/new
COPY a.txt /srv
COPY a.txt /srv/
