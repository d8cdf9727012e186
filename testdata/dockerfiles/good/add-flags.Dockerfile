FROM HUB/a:1
ADD --chown=1:1 --chmod=755 --link --keep-git-dir=true x /
