FROM HUB/a:1
RUN --mount=type=tmpfs,target=/x,size=big y
