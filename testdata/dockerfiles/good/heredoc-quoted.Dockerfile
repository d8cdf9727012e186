FROM HUB/a:1
COPY <<"EOF" /x
$X ${
EOF
USER x
