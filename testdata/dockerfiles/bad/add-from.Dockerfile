FROM HUB/a:1
ADD --from=HUB/b:1 / /
