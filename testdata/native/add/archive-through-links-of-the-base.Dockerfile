FROM base
ADD files.tar /
ADD files.tar /current
