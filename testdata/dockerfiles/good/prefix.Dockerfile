ARG V=v1
FROM HUB/a:${V#v}
