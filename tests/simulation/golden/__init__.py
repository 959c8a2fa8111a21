"""The golden effect log: what a bot sends and writes down in four worlds, line by line and as a digest."""
