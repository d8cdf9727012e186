FROM base AS one
ONBUILD COPY a.txt /onbuild/
ONBUILD ENV TRIGGERED=$APP
ONBUILD LABEL by=trigger
FROM one
COPY b.txt /own/
