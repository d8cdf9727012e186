FROM HUB/a:${X:=1}
