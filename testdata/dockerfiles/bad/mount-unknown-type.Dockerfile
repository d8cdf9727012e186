FROM HUB/a:1
RUN --mount=type=disk,target=/x y
