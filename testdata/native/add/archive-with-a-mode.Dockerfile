FROM base
ADD --chmod=700 files.tar /unpacked/
