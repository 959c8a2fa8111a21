"""Trio tasks that perform the engine's effects and tell it what happens. One loop per file, no trading state here."""
