FROM HUB/a:${A:-${B:-1}}
