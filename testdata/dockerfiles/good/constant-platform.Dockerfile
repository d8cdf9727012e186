FROM --platform=linux/arm64 HUB/a:1
