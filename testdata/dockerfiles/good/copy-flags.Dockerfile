FROM HUB/a:1
COPY --chown=1:1 --chmod=755 --link x /
