FROM base
COPY --chown=app:web --chmod=755 <<run.sh /usr/local/bin/run
#!/bin/sh
exec $APP/tool
run.sh
