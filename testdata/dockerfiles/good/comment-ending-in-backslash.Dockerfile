# x \
FROM HUB/a:1
