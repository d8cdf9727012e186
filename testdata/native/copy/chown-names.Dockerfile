FROM base
COPY --chown=app a.txt /new/deep/
COPY --chown=app:staff conf /conf
COPY --chown=web:50 a.txt /srv/x
COPY --chown=:staff a.txt /group
COPY --chown=77:staff a.txt /mixed
