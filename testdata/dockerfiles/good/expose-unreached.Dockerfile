FROM HUB/b:1 AS unused
EXPOSE http

FROM HUB/a:1
