FROM base AS One
COPY a.txt /opt/a
FROM other
COPY b.txt /opt/b
FROM base
COPY --from=0 /opt/a /0/
COPY --from=1 /opt/b /1/
COPY --from=one /usr/local/opt /named
