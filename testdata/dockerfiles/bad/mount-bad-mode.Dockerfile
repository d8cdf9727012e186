FROM HUB/a:1
RUN --mount=type=cache,target=/x,mode=9 y
