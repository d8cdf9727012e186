FROM HUB/a:1
ENV a b c
