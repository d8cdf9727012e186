FROM HUB/a:1
COPY --from=n / /
