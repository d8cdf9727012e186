FROM HUB/a:1 AS x
COPY --from=HUB/c:1 / /
FROM HUB/b:1
