FROM base
ADD a.txt /added
ADD conf /conf/
ADD --chown=7 --chmod=640 conf/*.conf /modes/
