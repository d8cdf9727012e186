FROM HUB/a:${}
