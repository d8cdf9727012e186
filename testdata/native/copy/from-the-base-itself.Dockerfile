FROM base
COPY --from=base /srv /copy
COPY --from=base /bin/tool /current/app /to-file /files/
COPY --from=base /up /up-is
