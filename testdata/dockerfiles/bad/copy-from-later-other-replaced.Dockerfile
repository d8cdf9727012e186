FROM HUB/a:1 AS first
COPY --from=other /x /x

FROM HUB/b:1 AS later

FROM HUB/b:1 AS other
