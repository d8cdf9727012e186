FROM triggers
COPY b.txt rel/
