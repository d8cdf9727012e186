FROM base
COPY --link --chmod=700 a.txt /bin/
