"""The calls of the venue, without sockets."""
