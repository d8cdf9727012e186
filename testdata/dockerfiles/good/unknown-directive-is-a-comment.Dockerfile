# frob=1
FROM HUB/a:1
