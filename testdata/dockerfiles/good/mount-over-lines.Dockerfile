FROM HUB/a:1
RUN --mount=type=bind,\
from=HUB/b:1,target=/x y
