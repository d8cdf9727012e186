ARG V=1..
FROM HUB/a:${V//./}
