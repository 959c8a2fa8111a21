"""Other ways to do the same: a client each, run in an environment of its own."""
