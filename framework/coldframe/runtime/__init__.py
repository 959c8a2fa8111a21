"""Putting the parts together: from a configuration to a running house, and from a run to its summary."""
