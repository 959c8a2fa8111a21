"""The sockets of the venue: one listener, and one owner for each connection."""
