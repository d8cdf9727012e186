FROM base
COPY a.txt rel
COPY a.txt ../up-one
WORKDIR /srv
COPY a.txt ./x
COPY a.txt .
WORKDIR sub
COPY a.txt ../y
