FROM HUB/a:1
COPY ["a", 1]
