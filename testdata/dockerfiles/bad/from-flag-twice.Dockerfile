FROM --platform=linux/amd64 --platform=linux/amd64 HUB/a:1
