ARG V=
FROM HUB/a:${V:-1}
