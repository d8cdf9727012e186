FROM HUB/a:1
COPY --from=scratch / /
