FROM HUB/a:1 AS a/b
