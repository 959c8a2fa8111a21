"""Links, books and events of the market streams."""
