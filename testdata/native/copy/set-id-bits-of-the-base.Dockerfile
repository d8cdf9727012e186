FROM base
COPY --from=base /srv/tool /kept
COPY --from=base --chown=app /srv/tool /given
COPY --from=base --chmod=755 /srv/tool /changed
