FROM HUB/a:${X?why}
