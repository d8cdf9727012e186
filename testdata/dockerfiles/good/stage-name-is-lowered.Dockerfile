FROM HUB/a:1 AS Build
FROM build
