FROM base
COPY --chmod=u=rwX,go=rX run.sh a.txt /new/
COPY --chmod=go-r,u+x a.txt /srv/
