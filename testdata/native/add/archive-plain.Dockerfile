FROM base
ADD files.tar /unpacked
