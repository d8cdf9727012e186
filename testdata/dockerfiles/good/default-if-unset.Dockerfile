FROM HUB/a:${V:-1}
