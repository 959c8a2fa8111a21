"""Our own words: what happens (events, inputs), what is wanted (intents), what has to be done (effects). No I/O, no clock."""
