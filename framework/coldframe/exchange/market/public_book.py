"""The published book of one contract: what the streams and the depth calls show, as texts in the order of their prices."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from coldframe.units import scaled
from coldframe.wire.streams import Level


class PublicBookSide:
    """One side of a published book. Keys are scaled prices times `sign`, so that the best stands last."""

    __slots__ = ("_keys", "_levels", "_sign")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[int] = []
        self._levels: dict[int, Level] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, level: Level) -> None:
        """Takes one level as the market prints it: an absolute quantity, zero removes."""
        key = scaled(level[0]) * self._sign
        if scaled(level[1]):
            if key not in self._levels:
                self._keys.insert(bisect_left(self._keys, key), key)
            self._levels[key] = level
        elif self._levels.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]

    def best(self) -> Level | None:
        return self._levels[self._keys[-1]] if self._keys else None

    def top(self, count: int) -> list[Level]:
        """The best `count` levels, best first."""
        return [self._levels[key] for key in reversed(self._keys[-count:])] if count else []

    def clear(self) -> None:
        self._keys.clear()
        self._levels.clear()


class PublicBook:
    """Both sides, the last update id, and the market's time of the last change.

    `known` is false until the book is complete: a recorded or mirrored one waits for its snapshot.
    """

    def __init__(self) -> None:
        self.bids = PublicBookSide(1)
        self.asks = PublicBookSide(-1)
        self.last_id = 0
        self.event_ms = 0
        self.traded_ms = 0
        self.known = False

    def apply(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Takes changed levels."""
        for level in bids:
            self.bids.put(level)
        for level in asks:
            self.asks.put(level)

    def stamp(self, last_id: int, event_ms: int, traded_ms: int) -> None:
        """Says which update the book now contains, and when it happened."""
        self.last_id, self.event_ms, self.traded_ms = last_id, event_ms, traded_ms

    def replace(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Takes a whole book."""
        self.bids.clear()
        self.asks.clear()
        self.apply(bids, asks)
        self.known = True

    def best(self) -> tuple[Level | None, Level | None]:
        return self.bids.best(), self.asks.best()

    def middle(self) -> int | None:
        """Halfway between the best prices, in units of 10**-12; None while a side is empty."""
        bid, ask = self.best()
        return (scaled(bid[0]) + scaled(ask[0])) // 2 if bid and ask else None
