FROM base
COPY . .
