FROM HUB/a:1
RUN --mount=from=HUB/b:1,target=/x <<EOF
FROM q
EOF
