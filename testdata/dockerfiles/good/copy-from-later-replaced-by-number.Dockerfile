FROM HUB/a:1 AS first
COPY --from=1 /x /x

FROM HUB/b:1 AS later
RUN true
