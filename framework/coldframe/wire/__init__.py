"""What is on the cable. The bot and the embedded venue speak these words, and neither knows more of the other.

Pure: bytes and values in, values and bytes out. No I/O, no clock, no chance. The facts stand in `seeds/` and `protocol.md`.
"""
