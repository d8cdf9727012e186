FROM base
ARG OWNER=app
ARG MODE=5
COPY --chown=$OWNER:${GROUP:-web} --chmod=755 a.txt /$OWNER/
