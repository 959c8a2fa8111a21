"""Comparing with the venue: orders, fills, positions, funding and settings, at the start and in rounds afterwards."""
