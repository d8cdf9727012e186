FROM HUB/a:1
RUN echo "<<EOF"
USER x
