FROM base
ADD files.tar.xz /unpacked/
