FROM base
WORKDIR /srv/file
