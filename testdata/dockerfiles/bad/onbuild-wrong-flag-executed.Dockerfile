FROM HUB/a:1 AS b
ONBUILD COPY --form=x a b
FROM b
