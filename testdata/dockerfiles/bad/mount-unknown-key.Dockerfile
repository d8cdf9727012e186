FROM HUB/a:1
RUN --mount=form=x,target=/x y
