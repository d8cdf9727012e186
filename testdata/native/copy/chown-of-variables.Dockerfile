FROM base
ARG OWNER=app
ARG MODE=5
COPY --chown=$OWNER:${GROUP:-web} --chmod=7${MODE}5 a.txt /$OWNER/
