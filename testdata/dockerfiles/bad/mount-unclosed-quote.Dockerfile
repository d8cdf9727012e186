FROM HUB/a:1
RUN --mount='"from=a' y
