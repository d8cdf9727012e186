FROM HUB/a:1
COPY --from=7 / /
