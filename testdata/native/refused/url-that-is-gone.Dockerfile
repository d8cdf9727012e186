FROM base
ADD --checksum=SUM:tool.sh WEB/gone /x
