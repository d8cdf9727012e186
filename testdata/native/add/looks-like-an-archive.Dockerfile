FROM base
ADD no.tar text.gz cut.tar.gz /kept/
