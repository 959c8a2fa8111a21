"""The API session, the user stream, REST calls, rate limits, clock offset and signatures."""
