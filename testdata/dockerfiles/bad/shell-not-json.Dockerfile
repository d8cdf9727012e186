FROM HUB/a:1
SHELL /bin/sh
