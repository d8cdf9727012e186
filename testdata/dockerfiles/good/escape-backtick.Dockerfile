# escape=`
FROM HUB/a:1
RUN dir C:\
COPY --from=HUB/b:1 `
 x /
