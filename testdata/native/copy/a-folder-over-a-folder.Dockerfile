FROM base
COPY conf /srv
COPY conf /srv/sub/
COPY modes /tmp
