FROM base
ADD files.tar.zst /unpacked/
