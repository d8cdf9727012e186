FROM HUB/a:1 AS first
RUN --mount=from=later,target=/l true

FROM HUB/b:1 AS later
RUN true
