"""What things cost, each beside another way to do the same; see README.md."""
