"""The golden effect log: what a bot sends and writes down in three worlds, line by line and as a digest."""
