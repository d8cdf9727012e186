FROM base
ADD --checksum=SUM:files.tar.gz WEB/tool.sh /x
