FROM HUB/a:1
RUN --mount=target=/x,ro=maybe y
