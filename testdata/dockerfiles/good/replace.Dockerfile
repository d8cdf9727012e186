ARG V=x
FROM HUB/a:${V/x/1}
