"""What a market message costs, counted, and the record that a test compares it with."""
