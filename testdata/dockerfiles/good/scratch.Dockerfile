FROM scratch
COPY --from=HUB/a:1 / /
