FROM HUB/a:1 AS x
COPY --from=y / /
FROM HUB/b:1 AS y
FROM x
