FROM base
ADD <<one <<"two" /added/
one of $APP
one
two of $APP
two
