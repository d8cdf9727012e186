FROM HUB/a:1 AS base
ONBUILD COPY --from=later /x /x

FROM base AS first

FROM HUB/b:1 AS later
