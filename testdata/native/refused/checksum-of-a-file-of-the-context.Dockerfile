FROM base
ADD --checksum=SUM:tool.sh a.txt /x
