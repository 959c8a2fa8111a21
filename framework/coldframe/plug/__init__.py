"""Plugins: what a hook looks like, how a plugin is found and refused, and one slot per strategy that calls it."""
