FROM base
MAINTAINER Someone Else <a@example.com>
