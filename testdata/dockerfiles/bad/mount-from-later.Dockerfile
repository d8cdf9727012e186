FROM HUB/a:1 AS x
RUN --mount=from=y,target=/x z
FROM HUB/b:1 AS y
FROM x
