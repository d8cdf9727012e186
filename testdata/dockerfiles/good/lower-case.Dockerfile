from HUB/a:1 as x
