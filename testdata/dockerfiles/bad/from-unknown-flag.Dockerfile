FROM --platfrom=linux/amd64 HUB/a:1
