FROM --platform=a/b/c/d HUB/a:1
