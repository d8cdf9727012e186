FROM HUB/a:1
ADD https://example.com/x /
