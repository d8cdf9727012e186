ARG V=1.2.3
FROM HUB/a:${V%.2*}
