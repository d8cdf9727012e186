# escape=`
FROM base
LABEL a=1 `
# a comment in between
  b=2 `

  c=3
ENV X=c:\path
COPY a.txt `
  /dir/
