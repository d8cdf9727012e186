FROM base
ADD files.tar.bz2 /unpacked/
