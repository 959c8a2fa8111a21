"""Recordings and input logs: the lines in files, and how they are read back."""
