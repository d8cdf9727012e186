FROM HUB/a:1
RUN --mount=type=secret,id=x y
