FROM HUB/a:1
RUN --mount=target=/x,sharing=locked y
