"""The shells: Trio tasks that perform the brain's effects and tell it what happens. One loop per file, no trading state here."""
