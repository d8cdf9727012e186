FROM HUB/a:1
ONBUILD COPY --form=x a b
