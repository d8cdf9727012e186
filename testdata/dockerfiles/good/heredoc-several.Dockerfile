FROM HUB/a:1
COPY <<A <<B /x/
FROM x y z
A
USER
B
USER x
