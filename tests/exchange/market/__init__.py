"""The public side of the venue."""
