FROM HUB/c:1 AS x
RUN y
FROM HUB/b:1
COPY --from=x / /
