FROM base AS made
COPY --chown=5:6 conf /conf
FROM base
COPY --from=made /conf /kept
COPY --from=made --chown=app:web /conf /given
COPY --from=base /srv/tool /home/app /of-base/
