FROM HUB/a:1
ARG T=cache
RUN --mount=type=$T,target=/x,sharing=locked y
