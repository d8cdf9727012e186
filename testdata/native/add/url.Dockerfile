FROM base
ADD --checksum=SUM:tool.sh WEB/tool.sh /by-folder/
ADD --checksum=SUM:tool.sh WEB/tool.sh /by-name
ADD --checksum=SUM:tool.sh --chmod=755 --chown=app:staff WEB/tool.sh /bin/
ADD --link --checksum=SUM:tool.sh WEB/tool.sh?query=1 /linked/
ADD --checksum=SUM:files.tar.gz WEB/files.tar.gz /not-unpacked/
ARG NAME=tool.sh
ADD --checksum=SUM:tool.sh WEB/$NAME $APP/
