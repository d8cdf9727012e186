ARG X=a
FROM HUB/a:1
COPY --from=$X / /
