"""How a local book becomes and stays equal to the venue's: the nine steps of the seeds, one method each.

From `seeds/004`, "How to manage a local order book correctly", refined by protocol.md 5.1:

1. Open the stream (the feed does).                      `_on_delta` begins here
2. Buffer the events.                                    `_buffer`
3. Get a snapshot, after the first event has come.       `_request`
4. Drop events that end before the snapshot.             `_drop_contained`
5. The first event applied must reach over it.           `_bridge`
6. Each event must follow on the one before.             `_follows`
7. Quantities are absolute,                              `BookSide.apply`
8. zero removes a level,                                 `BookSide.apply`
9. and removing one that is not there is normal.         `BookSide.apply`

When nothing buffered reaches the snapshot, the machine waits for the event that does instead of asking again: in most real
recordings the snapshot is newer than everything buffered. Every ask costs weight, so asks are paced, slower with every failure.
"""

from __future__ import annotations

from collections import deque
from typing import Final, assert_never

import attrs

from coldframe.core.marketdata.book import Book
from coldframe.model.engine_events import BookLost as BookLost
from coldframe.model.engine_events import BookMoved as BookMoved
from coldframe.model.engine_events import BookReady as BookReady
from coldframe.model.events import BookState
from coldframe.units import scaled, scaled_levels
from coldframe.wire.reference import Depth
from coldframe.wire.streams import DepthUpdate

#: How many events are kept while a snapshot is on its way; the oldest make room.
BUFFER_LIMIT: Final = 4_000
#: How many levels the snapshots we ask for have at most on a side (REST depth, limit 1000).
SNAPSHOT_LEVELS: Final = 1_000
#: The first snapshot is asked for a moment after the first event, or as soon as there is a second one (protocol.md 5.1).
FIRST_DELAY_MS: Final = 250
#: The longest pause between two snapshots of one book that does not come right.
MAX_DELAY_MS: Final = 30_000
#: A book that is lost before it has followed so many events did not come right either.
STABLE_EVENTS: Final = 50


@attrs.frozen
class SnapshotFailed:
    """The snapshot could not be had; `reason` is for the log."""

    reason: str


@attrs.frozen
class StreamLost:
    """The stream of events is interrupted: what comes next does not follow on what came before."""

    reason: str


@attrs.frozen
class StreamSwitched:
    """The same stream goes on over another connection: the next event may begin before the last one ended."""


@attrs.frozen
class RequestSnapshot:
    """Please fetch a snapshot of this book, after a pause."""

    symbol: str
    after_ms: int = attrs.field(default=FIRST_DELAY_MS, eq=False)


BookInput = DepthUpdate | Depth | SnapshotFailed | StreamLost | StreamSwitched
BookEffect = RequestSnapshot | BookReady | BookMoved | BookLost


@attrs.define
class BookSync:
    """The machine of one book. `book` may be read while `state` is SYNCED, and not otherwise."""

    symbol: str
    state: BookState = BookState.BUFFERING
    book: Book = attrs.field(factory=Book)
    #: How often a book that had been synced was lost.
    resyncs: int = 0
    #: Events ignored because the book held them already.
    _events: deque[DepthUpdate] = attrs.field(factory=lambda: deque(maxlen=BUFFER_LIMIT))
    _snapshot: Book | None = None
    _asked: bool = False
    _hurried: bool = False
    _failures: int = 0
    _followed: int = 0
    _overlap_allowed: bool = False
    #: What follows from nearly every event.
    _moved: BookMoved = attrs.field(init=False, eq=False)

    def __attrs_post_init__(self) -> None:
        self._moved = BookMoved(self.symbol)

    def step(self, event: BookInput) -> list[BookEffect]:
        """Takes in one event, snapshot or failure, and says what follows from it."""
        match event:
            case DepthUpdate():
                return self._on_delta(event)
            case Depth():
                return self._on_snapshot(event)
            case SnapshotFailed():
                self._asked = False
                self._failures += 1
                return self._request()
            case StreamLost():
                return self._on_stream_lost(event.reason)
            case StreamSwitched():
                self._overlap_allowed = True
                return []
            case unknown:
                assert_never(unknown)

    def take_scaled(self, event: DepthUpdate, bids: list[int], asks: list[int]) -> list[BookEffect]:
        """`step` for an event whose levels have been scaled already."""
        return self._follow(event, bids, asks) if self.state is BookState.SYNCED else self._on_delta(event)

    def _on_delta(self, event: DepthUpdate) -> list[BookEffect]:
        if self.state is BookState.SYNCED:
            return self._follow(event, scaled_levels(event.bids), scaled_levels(event.asks))
        self._buffer(event)
        return self._bridge() if self._snapshot is not None else self._request()

    def _buffer(self, event: DepthUpdate) -> None:
        """Step 2."""
        self._events.append(event)

    def _request(self) -> list[BookEffect]:
        """Step 3: one ask at a time, and only once events are being buffered; the second event makes the first ask urgent."""
        if not self._events:
            return []
        if self._asked:
            return self._hurry()
        self._asked, self._hurried = True, False
        return [RequestSnapshot(self.symbol, min(FIRST_DELAY_MS << min(self._failures, 10), MAX_DELAY_MS))]

    def _hurry(self) -> list[BookEffect]:
        if self._hurried or self._failures or len(self._events) < 2:
            return []
        self._hurried = True
        return [RequestSnapshot(self.symbol, 0)]

    def _on_snapshot(self, snapshot: Depth) -> list[BookEffect]:
        if self.state is BookState.SYNCED:
            return []
        self._asked = False
        self._snapshot = _book_of(snapshot)
        return self._bridge()

    def _drop_contained(self, book: Book) -> None:
        """Step 4. An event that ends exactly at the snapshot is contained in it, too: the next one then follows on it."""
        while self._events and self._events[0].last_id <= book.update_id:
            self._events.popleft()

    def _bridge(self) -> list[BookEffect]:
        """Step 5: the first event left must begin at or before the snapshot's id, then all others must follow.

        An event covers the ids after `previous_id`, so `previous_id <= snapshot id` is enough to have no hole between them.
        """
        book = self._snapshot
        assert book is not None
        self._drop_contained(book)
        if not self._events:
            return []
        if self._events[0].previous_id > book.update_id:
            return self._too_old(book)
        self._snapshot = None
        _apply(book, self._events.popleft())
        return self._catch_up(book)

    def _too_old(self, book: Book) -> list[BookEffect]:
        """The snapshot ends before the buffer begins: ask for another one."""
        self._snapshot = None
        self._failures += 1
        return self._request()

    def _catch_up(self, book: Book) -> list[BookEffect]:
        while self._events:
            event = self._events.popleft()
            if event.last_id <= book.update_id:
                continue  # told already
            if self._follows(book, event):
                _apply(book, event)
            else:
                return self._lose(f"gap while catching up: {event.previous_id} after {book.update_id}", event)
        if book.crossed:
            return self._lose("crossed after the snapshot", None)
        self.book = book
        self.state = BookState.SYNCED
        self._followed = 0
        return [BookReady(self.symbol)]

    def _follows(self, book: Book, event: DepthUpdate) -> bool:
        """Step 6. After a switch of connections one event may also overlap: its quantities are absolute, so nothing is lost."""
        if event.previous_id == book.update_id:
            return True
        return self._overlap_allowed and event.previous_id < book.update_id < event.last_id

    def _follow(self, event: DepthUpdate, bids: list[int], asks: list[int]) -> list[BookEffect]:
        book = self.book
        if event.last_id <= book.update_id:
            return []  # told already
        if not self._follows(book, event):
            return self._lose(f"gap: event follows on {event.previous_id}, book is at {book.update_id}", event)
        self._overlap_allowed = False
        book.take_changes(bids, asks, event.last_id, event.event_ms)
        if book.crossed:
            return self._lose(f"crossed at {book.update_id}", None)
        self._followed += 1
        if self._followed == STABLE_EVENTS:
            self._failures = 0
        return [self._moved]

    def _lose(self, reason: str, event: DepthUpdate | None) -> list[BookEffect]:
        """The book is stale from now on; what has come behind the gap, and what comes next, waits for the next snapshot."""
        lost: list[BookEffect] = []
        if self.state is BookState.SYNCED:
            self.resyncs += 1
            lost.append(BookLost(self.symbol, reason))
        if self.state is not BookState.SYNCED or self._followed < STABLE_EVENTS:
            self._failures += 1
        self.state = BookState.STALE
        self._snapshot = None
        if event is not None:
            self._events.appendleft(event)
        return lost + self._request()

    def _on_stream_lost(self, reason: str) -> list[BookEffect]:
        was_synced = self.state is BookState.SYNCED
        self.resyncs += was_synced
        self.state = BookState.STALE if was_synced or self.state is BookState.STALE else BookState.BUFFERING
        self._snapshot = None
        self._events.clear()
        return [BookLost(self.symbol, reason)] if was_synced else []


def _book_of(snapshot: Depth) -> Book:
    whole_bids, whole_asks = len(snapshot.bids) < SNAPSHOT_LEVELS, len(snapshot.asks) < SNAPSHOT_LEVELS
    book = Book(
        update_id=snapshot.last_update_id,
        event_ms=snapshot.event_ms if isinstance(snapshot.event_ms, int) else 0,
        bid_edge=None if whole_bids else min(scaled(price) for price, _ in snapshot.bids),
        ask_edge=None if whole_asks else max(scaled(price) for price, _ in snapshot.asks),
    )
    book.bids.replace(snapshot.bids)
    book.asks.replace(snapshot.asks)
    return book


def _apply(book: Book, event: DepthUpdate) -> None:
    """Steps 7 to 9."""
    book.take_changes(scaled_levels(event.bids), scaled_levels(event.asks), event.last_id, event.event_ms)
