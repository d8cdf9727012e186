FROM base AS unused
COPY missing /x
FROM base
COPY a.txt /a
