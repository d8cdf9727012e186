FROM HUB/a:1 AS first
COPY --from=later /x /x

FROM HUB/b:1 AS later
RUN true
