"""What the engine knows of orders, positions, limits and halts."""
