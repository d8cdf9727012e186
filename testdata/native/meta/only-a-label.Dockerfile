FROM base
LABEL only=1
