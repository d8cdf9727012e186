FROM HUB/a:1
RUN --mount=type=secret,from=HUB/b:1,id=x y
