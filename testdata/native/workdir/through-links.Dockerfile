FROM base
WORKDIR /bin/sub
WORKDIR /current/sub
WORKDIR /up/made
WORKDIR /opt/x
