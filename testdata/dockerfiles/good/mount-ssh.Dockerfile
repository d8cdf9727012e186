FROM HUB/a:1
RUN --mount=type=ssh y
