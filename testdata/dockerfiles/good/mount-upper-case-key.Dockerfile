FROM HUB/a:1
RUN --mount=FROM=HUB/b:1,target=/x y
