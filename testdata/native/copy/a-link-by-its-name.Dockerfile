FROM base
COPY alias /alias
COPY to-a /to-a
COPY to-a conf/sub/link /into/
