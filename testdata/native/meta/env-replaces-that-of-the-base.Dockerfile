FROM base
ENV APP=/else
ENV app=lower
