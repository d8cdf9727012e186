FROM base
COPY --link a.txt /new/deep/
COPY --link --chown=7:8 conf /conf
COPY --link conf/sub /srv/sub
COPY --link=false a.txt /bin/a
