ARG GLOBAL=global
ARG UNUSED=1
FROM base
LABEL before=[$GLOBAL]
ARG GLOBAL
ARG LOCAL=local-$GLOBAL
ARG GIVEN=default
LABEL after=[$GLOBAL] local=[$LOCAL] given=[$GIVEN]
ENV LOCAL=env
LABEL env-wins=[$LOCAL]
ARG LOCAL=again
LABEL still=[$LOCAL]
ARG A=1 B=2
LABEL both=$A$B
# build-arg: GIVEN=given
# build-arg: UNDECLARED=1
