FROM base
ENV OLD a value   with  spaces
ENV QUOTED "a b" c
LABEL old form of a label
ENV REF $APP/x
