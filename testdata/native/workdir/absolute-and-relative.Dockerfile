FROM base
WORKDIR /new/deep
WORKDIR sub
WORKDIR ../other
WORKDIR /srv
WORKDIR .
