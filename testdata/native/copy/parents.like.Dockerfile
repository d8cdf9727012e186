FROM base
COPY conf/a.conf /parents/conf/
COPY conf/sub/c /parents/conf/sub/
COPY conf/sub/c /pivot/sub/
