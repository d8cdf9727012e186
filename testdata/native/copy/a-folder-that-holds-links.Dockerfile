FROM base
COPY links /links
COPY links/ /srv/
