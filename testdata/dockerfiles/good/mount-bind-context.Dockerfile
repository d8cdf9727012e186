FROM HUB/a:1
RUN --mount=target=/x y
