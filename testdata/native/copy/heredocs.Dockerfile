FROM base
ARG WHO=world
COPY <<hello <<-"quoted" a.txt /texts/
Hello, ${WHO}! \$WHO \\ "$WHO" '$WHO'
hello
	$WHO \$WHO
		tabs
	quoted
COPY <<EOF /one
EOF
