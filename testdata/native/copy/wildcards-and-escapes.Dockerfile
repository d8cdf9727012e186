FROM base
COPY [[]weird].txt /escaped/
COPY sp*.txt /spaces/
