"""Putting the parts together: from a configuration to a run, and from a run to its summary."""
