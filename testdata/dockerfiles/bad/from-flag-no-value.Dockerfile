FROM --platform HUB/a:1
