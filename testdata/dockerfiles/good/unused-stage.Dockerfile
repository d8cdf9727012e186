FROM HUB/c:1 AS unused
FROM HUB/a:1
