FROM base
COPY --parents conf/a.conf conf/sub/c /parents/
COPY --parents ./conf/./sub/c /pivot/
