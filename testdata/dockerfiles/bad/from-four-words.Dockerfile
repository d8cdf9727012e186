FROM HUB/a:1 AS b c
