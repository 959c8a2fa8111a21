"""The chance of the exchange: it comes from outside, and the same seeds give the same exchange."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import attrs

T = TypeVar("T")


class RandomSource(Protocol):
    """One sequence of random draws; `random.Random` is such a source."""

    def random(self) -> float:
        """A number in [0, 1)."""

    def randint(self, a: int, b: int, /) -> int:
        """A whole number from `a` to `b`, both included."""

    def randrange(self, stop: int, /) -> int:
        """A whole number from 0 to `stop`, `stop` left out."""

    def choice(self, seq: Sequence[T], /) -> T:
        """An item of a sequence that is not empty."""

    def gauss(self, mu: float, sigma: float, /) -> float:
        """A number of a normal distribution."""

    def lognormvariate(self, mu: float, sigma: float, /) -> float:
        """A number of a log-normal distribution."""

    def expovariate(self, lambd: float, /) -> float:
        """A number of an exponential distribution."""


#: Makes the sequence that belongs to a seed; the same seed gives the same sequence.
Seeded = Callable[[str], RandomSource]


@attrs.frozen
class Randomness:
    """What an exchange draws from: `seeded` for all that a run repeats, `token` for names that no other client may guess."""

    seeded: Seeded
    token: Callable[[], str]
