# escape=\
# escape=\
FROM HUB/a:1
