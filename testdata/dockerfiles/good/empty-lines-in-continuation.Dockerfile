FROM HUB/a:1
RUN x \


  y
