# x
# y
