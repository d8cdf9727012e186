FROM HUB/a:1
COPY --form=x a b
