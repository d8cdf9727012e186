FROM base
COPY run.sh a.txt /new/
COPY modes /modes
