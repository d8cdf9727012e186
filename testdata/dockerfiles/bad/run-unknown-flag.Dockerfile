FROM HUB/a:1
RUN --frob=1 x
