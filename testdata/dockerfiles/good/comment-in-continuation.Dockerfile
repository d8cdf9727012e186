FROM HUB/a:1
RUN x \
# FROM HUB/b:1 \
  y
