"""Plugins: what a hook looks like, how a plugin is found and refused, and how a strategy with its overlays is called."""
