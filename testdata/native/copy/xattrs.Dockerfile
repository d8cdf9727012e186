FROM base AS made
COPY --from=base --chown=5 /srv/able /given
COPY --from=base /srv/able /kept
FROM base
COPY --from=base /srv/noted /srv/able /new/
COPY --from=base --chmod=700 /srv/able /changed
COPY --from=made /given /kept /made/
