"""The private side of the venue: accounts, orders, margin, and what happens to them."""
