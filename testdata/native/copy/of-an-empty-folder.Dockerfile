FROM base AS made
WORKDIR /empty
FROM base
COPY --from=made /empty /new
COPY --from=made /empty /srv
COPY --from=made /empty /empty/. /more/
