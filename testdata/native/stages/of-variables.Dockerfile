ARG WHICH=two
FROM base AS one
LABEL stage=one
FROM other AS two
LABEL stage=two
FROM ${WHICH}
COPY a.txt /a
