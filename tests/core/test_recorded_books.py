"""Every book of every real recording, rebuilt by the machine and compared with the best prices the venue itself named."""

from __future__ import annotations

import gzip
from bisect import bisect_right
from collections import defaultdict
from decimal import Decimal

import attrs
import pytest

from coldframe.core.marketdata.book_sync import BookLost, BookSync, RequestSnapshot
from coldframe.enums import Side
from coldframe.model.events import BookState
from coldframe.units import exact
from coldframe.wire.codec import Census, decode, decode_stream
from coldframe.wire.names import parse
from coldframe.wire.recording import parse_line
from coldframe.wire.reference import Depth
from coldframe.wire.streams import BookTicker, DepthUpdate
from tests.conftest import SHARED, needs_shared

pytestmark = needs_shared

#: Recording to its books and the number of comparisons that it allows.
RECORDINGS = {
    "capture_2021-04-05_bat-ctk-neo-sand-chr_119s.jsonl.gz": (5, 4380),
    "capture_2021-07-22_sushi-akro-keep-ctk_30s.jsonl.gz": (4, 743),
    "capture_2024-08-08_btcusdt_first15s.jsonl.gz": (1, 283),
}

Best = tuple[Decimal, Decimal, Decimal, Decimal]


@attrs.define
class Rebuilt:
    """One symbol: its machine, what it showed after each event, and what the venue named as best prices."""

    sync: BookSync
    shown: list[tuple[int, Best]] = attrs.field(factory=list)
    named: list[tuple[int, Best]] = attrs.field(factory=list)
    asked: int = 0
    lost: int = 0

    def step(self, event: DepthUpdate | Depth) -> None:
        effects = self.sync.step(event)
        self.asked += sum(isinstance(effect, RequestSnapshot) and effect.after_ms > 0 for effect in effects)
        self.lost += sum(isinstance(effect, BookLost) for effect in effects)
        if effects and self.sync.state is BookState.SYNCED:
            book = self.sync.book
            numbers = [number(side) for side in (Side.BUY, Side.SELL) for number in (book.best, book.best_quantity)]
            assert None not in numbers
            self.shown.append((book.update_id, tuple(numbers)))  # type: ignore[arg-type]

    def compared(self) -> list[bool]:
        """For each moment the book was shown: whether it agrees with the best prices in force at its update id."""
        self.named.sort()
        ids = [update_id for update_id, _ in self.named]
        places = [(bisect_right(ids, update_id) - 1, best) for update_id, best in self.shown]
        return [self.named[place][1] == best for place, best in places if place >= 0]


def rebuilt(name: str) -> dict[str, Rebuilt]:
    books: dict[str, Rebuilt] = defaultdict(lambda: Rebuilt(BookSync("")))
    census = Census()
    with gzip.open(SHARED / "data" / name) as lines:
        for raw in lines:
            line = parse_line(raw)
            if isinstance(line.snapshot, str):
                books[line.snapshot].step(decode(Depth, line.payload, census))
                continue
            assert isinstance(line.stream, str)
            for message in decode_stream(parse(line.stream), line.payload, census):
                match message:
                    case DepthUpdate():
                        books[message.symbol].step(message)
                    case BookTicker():
                        numbers = (message.bid, message.bid_quantity, message.ask, message.ask_quantity)
                        books[message.symbol].named.append((message.update_id, tuple(map(exact, numbers))))  # type: ignore[arg-type]
    return books


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_book_agrees_with_every_best_price_the_venue_named(name: str) -> None:
    books = rebuilt(name)
    results = [same for book in books.values() for same in book.compared()]
    assert (len(books), len(results)) == RECORDINGS[name]
    assert all(results)
    for symbol, book in books.items():
        assert book.sync.state is BookState.SYNCED, symbol
        assert (book.asked, book.lost, book.sync.resyncs) == (1, 0, 0), symbol
        assert not book.sync.book.crossed
