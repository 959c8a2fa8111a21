"""The venue over real loopback sockets."""
