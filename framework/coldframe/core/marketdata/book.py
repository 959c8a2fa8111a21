"""A local order book: two sides of price levels, exact, with the best price always at hand.

Prices and quantities are integers in units of 10**-12 (`coldframe.units.scaled`), so no tick size is needed: real books hold prices
off the current tick. A side is a dict from price to quantity and a sorted list of its prices whose last element is the best.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal

import attrs

from coldframe.enums import Side
from coldframe.units import scaled, scaled_levels, unscaled
from coldframe.wire.streams import Level


class BookSide:
    """One side. `sign` is +1 for bids and -1 for asks, so that in both the best price has the greatest key."""

    __slots__ = ("_keys", "_quantities", "_sign")

    def __init__(self, side: Side) -> None:
        self._sign = side.sign
        self._quantities: dict[int, int] = {}
        self._keys: list[int] = []

    def __len__(self) -> int:
        return len(self._keys)

    def apply(self, levels: Iterable[Level]) -> None:
        """Sets absolute quantities; zero removes a level, and removing one that is not there is normal (seeds, steps 7 to 9).

        Raises `ValueError` for a text that is not a price or quantity.
        """
        self.put(scaled_levels(levels))

    def put(self, levels: list[int]) -> None:
        """The same of scaled levels: price, quantity, price, quantity and so on."""
        quantities, keys, sign = self._quantities, self._keys, self._sign
        numbers = iter(levels)
        for price, quantity in zip(numbers, numbers, strict=True):
            key = price * sign
            if quantity:
                if key not in quantities:
                    insort(keys, key)
                quantities[key] = quantity
            elif quantities.pop(key, None) is not None:
                del keys[bisect_left(keys, key)]

    def replace(self, levels: Iterable[Level]) -> None:
        """Forgets everything and takes these levels instead."""
        sign = self._sign
        self._quantities = {scaled(price) * sign: quantity for price, text in levels if (quantity := scaled(text))}
        self._keys = sorted(self._quantities)

    @property
    def best(self) -> int | None:
        """The best price, scaled; None when the side is empty."""
        return self._keys[-1] * self._sign if self._keys else None

    @property
    def worst(self) -> int | None:
        """The worst price, scaled; None when the side is empty."""
        return self._keys[0] * self._sign if self._keys else None

    def quantity_at(self, price: int) -> int:
        """The quantity at a scaled price; 0 when there is no such level."""
        return self._quantities.get(price * self._sign, 0)

    def top(self, levels: int) -> list[tuple[int, int]]:
        """The best `levels` as scaled (price, quantity), best first."""
        sign, quantities = self._sign, self._quantities
        return [(key * sign, quantities[key]) for key in self._keys[: -levels - 1 : -1]]


@attrs.define
class Book:
    """Both sides at one update id. `edges` tell how far the snapshot reached: beyond them levels may be missing."""

    bids: BookSide = attrs.field(factory=lambda: BookSide(Side.BUY))
    asks: BookSide = attrs.field(factory=lambda: BookSide(Side.SELL))
    update_id: int = 0
    event_ms: int = 0
    #: The worst price of a full snapshot on each side, scaled; None where the snapshot held the whole side.
    bid_edge: int | None = None
    ask_edge: int | None = None

    def take_changes(self, bids: list[int], asks: list[int], update_id: int, event_ms: int) -> None:
        """Takes in the changes up to this update, which happened at this venue time; levels as `BookSide.put` takes them."""
        self.bids.put(bids)
        self.asks.put(asks)
        self.update_id, self.event_ms = update_id, event_ms

    @property
    def crossed(self) -> bool:
        """Whether the best bid is not below the best ask: impossible in a true book."""
        bid, ask = self.bids.best, self.asks.best
        return bid is not None and ask is not None and bid >= ask

    def side(self, side: Side) -> BookSide:
        return self.bids if side is Side.BUY else self.asks

    def best(self, side: Side) -> Decimal | None:
        """The best price of a side."""
        price = self.side(side).best
        return None if price is None else unscaled(price)

    def best_quantity(self, side: Side) -> Decimal | None:
        """The quantity at the best price of a side."""
        levels = self.side(side)
        return None if levels.best is None else unscaled(levels.quantity_at(levels.best))

    def levels(self, side: Side, count: int) -> list[tuple[Decimal, Decimal]]:
        """The best `count` levels of a side as (price, quantity), best first."""
        return [(unscaled(price), unscaled(quantity)) for price, quantity in self.side(side).top(count)]
