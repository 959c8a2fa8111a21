"""The private side of the venue."""
