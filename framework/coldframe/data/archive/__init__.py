"""Files of the exchange's public archive (data.binance.vision, USD-M futures): their names, what they hold, how they are read."""
