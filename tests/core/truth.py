"""A venue's true book, change by change: what any snapshot and any event of it must say, and what it is at any update id."""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal

from coldframe.core.marketdata.book import Book
from coldframe.core.marketdata.book_sync import BookSync
from coldframe.enums import Side
from coldframe.model.events import BookState
from coldframe.wire.reference import Depth
from coldframe.wire.streams import DepthUpdate
from tests.core.made import SYMBOL, delta, depth

Sides = Mapping[Side, Mapping[str, str]]

_PRICES = {
    Side.BUY: [f"{price}.{digit}" for price in (98, 99) for digit in (0, 5)],
    Side.SELL: ["101.0", "101.5", "102.0", "102.5"],
}


class TrueBook:
    """Every update id is one change of one level. The bids never reach the asks."""

    def __init__(self, seed: int, symbol: str = SYMBOL) -> None:
        self.symbol = symbol
        self._chance = random.Random(seed)
        self.changes: list[tuple[Side, str, str]] = []

    @property
    def now(self) -> int:
        """The update id that the venue has reached."""
        return len(self.changes)

    def move(self, count: int = 1) -> None:
        """So many changes happen."""
        for _ in range(count):
            side = self._chance.choice([Side.BUY, Side.SELL])
            quantity = self._chance.choice(["0", "0.000", "1", "2.5", "7.125"])
            self.changes.append((side, self._chance.choice(_PRICES[side]), quantity))

    def at(self, update_id: int) -> Sides:
        """The levels at an update id."""
        return {
            side: {price: quantity for price, quantity in levels.items() if Decimal(quantity)}
            for side, levels in self._latest(0, update_id).items()
        }

    def event(self, previous: int, last: int) -> DepthUpdate:
        """What the stream says for the ids after `previous` up to `last`."""
        changed = self._latest(previous, last)
        return delta(previous, last, changed[Side.BUY].items(), changed[Side.SELL].items(), symbol=self.symbol)

    def snapshot(self, update_id: int) -> Depth:
        levels = self.at(update_id)
        return depth(update_id, levels[Side.BUY].items(), levels[Side.SELL].items())

    def _latest(self, previous: int, last: int) -> Sides:
        found: dict[Side, dict[str, str]] = {Side.BUY: {}, Side.SELL: {}}
        for side, price, quantity in self.changes[previous:last]:
            found[side][price] = quantity
        return found


def same(book: Book, levels: Sides) -> bool:
    """Whether a local book holds exactly these levels."""
    return all(
        dict(book.levels(side, 1_000)) == {Decimal(price): Decimal(quantity) for price, quantity in levels[side].items()}
        for side in (Side.BUY, Side.SELL)
    )


def check(sync: BookSync, truth: TrueBook) -> None:
    """A synced book is the venue's at the same update id, and not crossed."""
    if sync.state is BookState.SYNCED:
        assert same(sync.book, truth.at(sync.book.update_id)), f"wrong at {sync.book.update_id}"
        assert not sync.book.crossed
