FROM --platform=arm64 HUB/a:1
