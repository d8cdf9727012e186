FROM base
COPY --from=other /etc /etc
COPY --from=other / /everything/
COPY --from=other /links/abs /links/rel /followed/
