FROM base
COPY --from=base /srv/tool /srv/same /names/
COPY --from=base /srv/ /whole/
