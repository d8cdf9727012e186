FROM base
COPY conf/*.conf /conf/
COPY ?.txt /q/
COPY co* /folder/
COPY [ab].txt /class/
COPY */sub /subs/
COPY modes/* /both/
