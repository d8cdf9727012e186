FROM base
VOLUME /a /b
VOLUME ["/c d", "/data"]
VOLUME $APP/vol
