FROM base
COPY --chmod=755 run.sh /new/
COPY --chmod=644 a.txt /new/
COPY --chmod=700 a.txt /srv/
