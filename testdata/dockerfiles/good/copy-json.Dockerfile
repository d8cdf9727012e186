FROM HUB/a:1
COPY --from=HUB/b:1 ["x y", "/"]
