FROM HUB/a:1
RUN --mount=from=$X,target=/x y
