FROM other AS archives
COPY files.tar.gz /files.tar.gz
FROM base
ADD files.tar.gz /from-context/
COPY --from=archives /files.tar.gz /from-stage/
