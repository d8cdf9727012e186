FROM base
COPY conf /srv/file
