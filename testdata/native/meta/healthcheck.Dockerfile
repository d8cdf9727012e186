FROM base
HEALTHCHECK --interval=5s --timeout=1m30s --start-period=1h --start-interval=2s --retries=3 CMD ["a", "b"]
