FROM base
ENV A=1 B="two words" C='single $A' D=esc\ aped E=$A
ENV A=2 F=$A
ENV G=${A}x H=${MISSING:-default} I=${A:+set}
ENV PATH=/x:$PATH
ENV EMPTY=
