FROM base
COPY ["sp ace.txt", "a.txt", "/with space/"]
ADD ["conf/a.conf", "/x y"]
