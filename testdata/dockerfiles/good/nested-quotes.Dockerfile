FROM HUB/a:${A:-"1"}
