FROM HUB/a:1 AS build
FROM HUB/b:1
COPY --from=BUILD / /
