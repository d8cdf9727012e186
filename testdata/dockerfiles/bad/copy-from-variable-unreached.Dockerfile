FROM HUB/a:1 AS x
COPY --from=$X / /
FROM HUB/b:1
