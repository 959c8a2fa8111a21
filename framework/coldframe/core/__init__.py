"""The machines: each takes events and returns effects, and none of them knows I/O, a clock or chance."""
