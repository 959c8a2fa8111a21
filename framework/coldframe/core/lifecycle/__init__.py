"""How a run begins, is halted, and ends."""
