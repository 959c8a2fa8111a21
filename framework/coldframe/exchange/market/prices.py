"""Index price, mark price and funding of one contract: what margins, triggers and liquidations are reckoned with.

The venue never lets an account be liquidated by the last trade: everything here follows the middle of the book, smoothed.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Final

from coldframe.units import ZERO, unscaled

_EIGHT: Final = Decimal("0.00000001")
_INTEREST: Final = Decimal("0.0001")
#: Bounds of most funding rates, and of the part of the premium that interest absorbs.
USUAL_CAP: Final = Decimal("0.003")
_DAMPER: Final = Decimal("0.0005")
#: Mark price over this many seconds is averaged for the field `ap`.
_AVERAGED: Final = 30
#: How quickly mark and premium follow, as a share per second.
_FOLLOW: Final = Decimal("0.2")


class ReferencePrices:
    """The reference prices of one contract, moved once a second by `follow`."""

    def __init__(self, funding_interval_ms: int) -> None:
        self.index = ZERO
        self.mark = ZERO
        self.average = ZERO
        self.funding_rate = _INTEREST
        #: Milliseconds between two funding times, and the bound of the rate, both ways; either may change during a run.
        self.interval_ms = funding_interval_ms
        self.cap = USUAL_CAP
        self._premium = ZERO
        self._recent: deque[Decimal] = deque(maxlen=_AVERAGED)

    @property
    def known(self) -> bool:
        return self.mark > 0

    @property
    def premium(self) -> Decimal | None:
        """How far the mark price is above the index price, as a share of it; None while they are not known."""
        return ((self.mark - self.index) / self.index).quantize(_EIGHT) if self.known and self.index else None

    def next_funding_ms(self, now_ms: int) -> int:
        """When funding is exchanged next: on whole multiples of the interval."""
        return (now_ms // self.interval_ms + 1) * self.interval_ms

    def follow(self, middle: int, index: Decimal | None = None) -> None:
        """Takes the middle of the book (scaled) and, where the market has one, its own index price."""
        here = unscaled(middle)
        self.index = (index if index is not None else here).quantize(_EIGHT)
        target = (here + self.index) / 2
        before = self.mark or target
        self.set_mark(before + (target - before) * _FOLLOW)
        premium = (self.mark - self.index) / self.index
        self._premium += (premium - self._premium) * _FOLLOW
        absorbed = min(max(_INTEREST - self._premium, -_DAMPER), _DAMPER)
        self.funding_rate = min(max(self._premium + absorbed, -self.cap), self.cap).quantize(_EIGHT)

    def begin(self, price: int) -> None:
        """Starts at a price, so that there is a mark price before the first second has passed."""
        self.index = unscaled(price).quantize(_EIGHT)
        self.set_mark(self.index)

    def adopt(self, mark: Decimal, index: Decimal, rate: Decimal) -> None:
        """Takes what a recorded or mirrored market says itself."""
        self.index, self.funding_rate = index, rate
        self.set_mark(mark)

    def set_mark(self, mark: Decimal) -> None:
        """Sets the mark price."""
        self.mark = mark.quantize(_EIGHT)
        self._recent.append(self.mark)
        self.average = (sum(self._recent, ZERO) / len(self._recent)).quantize(_EIGHT)
