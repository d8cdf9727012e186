ARG V=x.y.1
FROM HUB/a:${V##*.}
