FROM HUB/a:1
RUN --network=none x
