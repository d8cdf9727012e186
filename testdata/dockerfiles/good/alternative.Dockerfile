ARG V=x
FROM HUB/a:${V:+1}
