FROM HUB/a:1
RUN --mount=from=HUB/c:1,from=HUB/b:1,target=/x y
