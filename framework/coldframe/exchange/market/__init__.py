"""The public side of the venue: books, trades, candles, prices, and the streams that print them."""
