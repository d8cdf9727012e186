FROM scratch
LABEL empty=1
CMD ["x"]
