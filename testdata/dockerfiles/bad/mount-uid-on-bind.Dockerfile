FROM HUB/a:1
RUN --mount=target=/x,uid=1 y
