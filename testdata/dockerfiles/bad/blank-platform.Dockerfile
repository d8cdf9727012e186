FROM --platform=$NOPE HUB/a:1
