FROM base
COPY a*.txt /single
COPY conf/n* /notes
