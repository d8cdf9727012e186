FROM HUB/a:1
FROM HUB/b:1
COPY --from=+0 / /
