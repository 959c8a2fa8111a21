"""Randomness for exchanges in tests: seeded throughout, so that the same test gives the same exchange."""

from __future__ import annotations

from random import Random

from coldframe.exchange.randomness import Randomness


def randomness(seed: int = 1) -> Randomness:
    """What an exchange draws from; its tokens come from a sequence of their own."""
    tokens = Random(f"{seed}:tokens")
    return Randomness(Random, lambda: f"{tokens.getrandbits(256):064x}")
