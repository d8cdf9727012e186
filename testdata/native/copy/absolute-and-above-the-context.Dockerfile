FROM base
COPY /a.txt /x/
COPY ../../b.txt ./conf/../run.sh /x/
