FROM base
COPY a.txt /new/
COPY a.txt /dot/.
COPY a.txt newer/
COPY a.txt .
