"""Long runs against a venue that does wrong, or of a bot that is killed: each a command of its own, and a short one as a test."""
