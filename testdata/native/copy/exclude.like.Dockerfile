FROM base
COPY conf/sub/c /conf/sub/
COPY conf/notes /conf/
COPY conf/a.conf conf/b.conf conf/notes /all/conf/
COPY a.txt b.txt run.sh no.tar text.gz cut.tar.gz files.tar files.tar.gz files.tar.zst files.tar.xz files.tar.bz2 [[]weird].txt /all/
COPY hidden /all/hidden
COPY ["sp ace.txt", "/all/"]
