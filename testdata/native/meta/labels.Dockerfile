FROM base
LABEL a=1 b="two words" c='x"y' "d e"=f
LABEL multi="line \
continued" of=$APP
LABEL of=child
