FROM base
COPY --chmod=0711 conf /conf
COPY --chmod=4755 a.txt /new/folder/a
COPY --chmod=600 a.txt b.txt /srv/
COPY --chmod=1777 conf/sub /sticky
