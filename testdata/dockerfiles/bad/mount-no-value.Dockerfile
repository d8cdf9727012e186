FROM HUB/a:1
RUN --mount=target y
