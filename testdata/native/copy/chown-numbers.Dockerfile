FROM base
COPY --chown=7 a.txt /one
COPY --chown=7:8 conf /new/conf
COPY --chown=2000000:2000001 links /links
