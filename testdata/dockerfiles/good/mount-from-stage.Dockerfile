FROM HUB/b:1 AS b
FROM HUB/a:1
RUN --mount=target=/x,from=b y
