FROM base AS files
COPY --chown=app a.txt /x/a
FROM scratch
COPY --from=files /x /
COPY --from=files /etc/passwd /etc/passwd
COPY --chown=web a.txt /of-web
