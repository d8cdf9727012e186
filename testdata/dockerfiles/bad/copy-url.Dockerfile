FROM HUB/a:1
COPY https://example.com/x /
