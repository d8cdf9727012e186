FROM base
ARG NAME=a
ENV DIR=$APP/of-env
COPY ${NAME}.txt ${DIR}/${NAME%a}x
COPY ${MISSING:-b.txt} /d/${NAME:+set}/
