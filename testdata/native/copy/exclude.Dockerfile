FROM base
COPY --exclude=*.conf --exclude=sub/link conf /conf
COPY --exclude=conf/sub --exclude=modes --exclude=links --exclude=alias --exclude=to-* . /all/
