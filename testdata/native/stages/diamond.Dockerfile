FROM base AS root
COPY conf /conf
FROM root AS left
COPY a.txt /left
FROM root AS right
COPY b.txt /right
FROM other
COPY --from=left / /l/
COPY --from=right /right /conf/a.conf /r/
