FROM --platform=linux/amd64 base
LABEL x=1
