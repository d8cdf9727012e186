FROM base AS made
COPY --chown=9 conf /made/conf
FROM base
COPY --link --from=made /made /linked
COPY --link --from=other /etc/other /etc/
COPY b.txt /linked/conf/
