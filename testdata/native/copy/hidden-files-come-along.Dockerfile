FROM base
COPY hidden /hidden
COPY hidden/* /shown/
