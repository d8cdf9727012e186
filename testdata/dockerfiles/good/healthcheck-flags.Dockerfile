FROM HUB/a:1
HEALTHCHECK --interval=5s --timeout=1s --retries=2 --start-period=1s CMD x
