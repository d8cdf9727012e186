FROM HUB/a:1
RUN --mount=from=n,target=/x y
