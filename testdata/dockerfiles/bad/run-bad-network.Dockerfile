FROM HUB/a:1
RUN --network=foo x
