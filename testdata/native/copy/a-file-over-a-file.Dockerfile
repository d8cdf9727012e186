FROM base
COPY run.sh /srv/file
COPY a.txt /srv/tool
COPY a.txt /srv/noted
