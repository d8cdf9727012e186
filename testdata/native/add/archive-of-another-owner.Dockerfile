FROM base
ADD --chown=app:staff files.tar /unpacked/
