FROM base AS one
COPY links /srv/links
FROM base
COPY --from=one /srv/links /links
COPY a.txt /links/to-nothing
