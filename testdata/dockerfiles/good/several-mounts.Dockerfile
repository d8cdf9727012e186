FROM HUB/a:1
RUN --mount=from=HUB/b:1,target=/x --mount=type=cache,from=HUB/c:1,target=/y z
