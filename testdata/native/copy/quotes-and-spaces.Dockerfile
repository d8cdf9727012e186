FROM base
COPY "a.txt" /quoted
COPY a.txt b.txt '/single-quoted/'
