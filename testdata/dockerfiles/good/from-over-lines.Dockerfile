FROM \
  # c
  HUB/a:1 \
  AS b
