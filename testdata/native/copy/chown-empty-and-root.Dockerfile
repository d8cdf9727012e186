FROM base
COPY --chown= a.txt /1
COPY --chown=root:root a.txt /2
COPY --chown=root a.txt /3
COPY --chown=0:50 a.txt /4
