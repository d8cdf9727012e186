# c
# escape=`
FROM HUB/a:1
RUN x \
 y
