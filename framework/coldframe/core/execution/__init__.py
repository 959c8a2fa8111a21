"""Sending orders and applying what the venue says about them, until the fate of each is known."""
