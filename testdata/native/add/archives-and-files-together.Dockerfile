FROM base
ADD files.tar a.txt files.tar.gz no.tar /unpacked/
