FROM HUB/a:1
RUN --mount=type=cache,target=/x,from=HUB/b:1 y
