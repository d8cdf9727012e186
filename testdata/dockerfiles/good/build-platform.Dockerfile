FROM --platform=$BUILDPLATFORM HUB/a:1 AS x
FROM HUB/b:1
COPY --from=x / /
