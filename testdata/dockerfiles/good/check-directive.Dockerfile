# check=skip=all
FROM HUB/a:1
