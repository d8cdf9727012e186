FROM base AS Builder
COPY a.txt /a
FROM other
COPY --from=BUILDER /a /a
