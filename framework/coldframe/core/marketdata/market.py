"""The market side: frames of the market links become messages, and diff depths become local books.

What the strategies and the order side need is told into the step, in the order in which it happened. One symbol's resync touches
nothing else: every book is a machine of its own, and snapshots wait their turn in the rate limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import assert_never

import attrs

from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.rate_limits import Priority
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.connectivity.unreadable import TOO_MANY, Unreadable
from coldframe.core.marketdata.book import Book
from coldframe.core.marketdata.book_sync import (
    BookEffect,
    BookInput,
    BookLost,
    BookMoved,
    BookReady,
    BookSync,
    RequestSnapshot,
    SnapshotFailed,
    StreamLost,
    StreamSwitched,
)
from coldframe.core.marketdata.candles import ClosedCandles
from coldframe.core.marketdata.handlers import BOOK_KINDS, COIN_M, BookHandler, HandlerTable, Listeners, MessageHandler
from coldframe.core.marketdata.links import ControlReplied, Deliver, Feed, FeedEffect, LinkEnded, StreamsLost
from coldframe.core.marketdata.shards import FeedLimits, plan
from coldframe.errors import DecodeError
from coldframe.model.effects import CloseLink, Level
from coldframe.model.engine_events import BookUpdate as BookUpdate
from coldframe.model.engine_events import StreamMessage as StreamMessage
from coldframe.model.events import BookState
from coldframe.model.inputs import FramesDropped, LinkLost, LinkOpened, Suspended, TimeReached
from coldframe.units import NS_PER_MS
from coldframe.wire.codec import Census, decode, decode_stream
from coldframe.wire.frames import cut_envelope, parse_reply
from coldframe.wire.names import StreamKind, StreamName, parse
from coldframe.wire.reference import Depth
from coldframe.wire.streams import DepthUpdate, MarketMessage

BookKey = tuple[str, bool]


@attrs.frozen
class PendingSnapshot(RequestPurpose):
    """The purpose of a depth call."""

    symbol: str
    rpi: bool


#: What the market side takes in beside frames: what becomes of its links, what a call for a snapshot brought, its times (`feed:…`,
#: `book:…`), and that nothing ran for a while.
MarketInput = FramesDropped | LinkOpened | LinkLost | Returned | TimeReached | Suspended


@attrs.define
class LocalBook:
    """A book with the moment at which it last moved."""

    sync: BookSync
    rpi: bool
    moved_ns: int = 0
    #: Our time minus the venue's time of its last event, when that came; the clocks need not agree.
    lag_ms: int = 0


class Market:
    """Feed and books of a run. What happens to them is told into the step; effects go to the context."""

    def __init__(
        self,
        ctx: StepContext,
        calls: RestQueue,
        names: Iterable[StreamName],
        limits: FeedLimits,
        listeners: Listeners = lambda _name: None,
    ) -> None:
        self._ctx = ctx
        self._calls = calls
        self._listeners = listeners
        wanted = tuple(dict.fromkeys(names))
        self.feed = Feed(plan(wanted, limits), limits, ctx.chance, ctx.connects)
        #: The ids of the market's links, at every moment.
        self.links = self.feed.links
        self.books: dict[BookKey, LocalBook] = {
            (quote.symbol, quote.kind is StreamKind.RPI_DEPTH): LocalBook(
                BookSync(quote.symbol), quote.kind is StreamKind.RPI_DEPTH
            )
            for quote in wanted
            if quote.kind in BOOK_KINDS
        }
        #: The closed candles that strategies have been told of.
        self.candles = ClosedCandles(wanted)
        self.census = Census()
        #: Market payloads taken in.
        self.payloads = 0
        self._names: dict[str, StreamName] = {str(quote): quote for quote in wanted}
        #: Streams that the bot listens to for itself: no strategy has asked for them.
        self.unasked: set[StreamName] = set()
        self._event_times = limits.event_times
        self._least_lag_ms = 1 << 62
        self._unreadable = Unreadable()
        self._handlers = HandlerTable()
        for name in wanted:
            self._bind(name)

    def _bind(self, name: StreamName) -> None:
        """Gives a stream its handler, unless it is one of the whole market: each row of those has a lane of its own."""
        if not name.subject:
            return
        stream = self.feed.stream(name)
        if name.kind in BOOK_KINDS:
            local = self.books[name.symbol, name.kind is StreamKind.RPI_DEPTH]
            follow_up = partial(self._book_effects, local)
            handler = BookHandler(self._ctx, stream, self.census, self._route, local.sync, follow_up).take_payload
        else:
            handler = MessageHandler(self._ctx, stream, self.census, self._route, self._listeners).take_payload
        self._handlers.bind(name, handler)

    # -- reading ------------------------------------------------------------------------------------------------------

    @property
    def unreadable(self) -> int:
        """Frames that could not be read."""
        return self._unreadable.count

    def book(self, symbol: str, rpi: bool = False) -> LocalBook | None:
        return self.books.get((symbol, rpi))

    def synced_book(self, symbol: str, rpi: bool = False) -> Book | None:
        """The book, if it can be relied on now."""
        local = self.books.get((symbol, rpi))
        return local.sync.book if local is not None and local.sync.state is BookState.SYNCED else None

    def book_age_ms(self, symbol: str) -> int:
        """How old what the book of a symbol shows is at worst; very old when it never moved.

        The time since its last event came, and how much later that event came than the quickest one of the run: what was held up
        on the way is as old as it is, however fresh it arrives (faults.md N9).
        """
        local = self.books.get((symbol, False))
        if local is None or not local.moved_ns:
            return 1 << 40
        return (self._ctx.now_ns - local.moved_ns) // NS_PER_MS + max(local.lag_ms - self._least_lag_ms, 0)

    # -- links --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._carry_out(self.feed.start(self._ctx.now_ns))

    def listen(self, name: StreamName) -> None:
        """Listens to one more stream for the bot itself, unless what it brings comes already."""
        heard = (stream for stream in self._names.values() if stream.kind is name.kind and stream.subject in ("", name.subject))
        if next(heard, None) is None:
            self._names[str(name)] = name
            self.unasked.add(name)
            self._carry_out(self.feed.add(name, self._ctx.now_ns))
            self._bind(name)

    def step(self, event: MarketInput) -> None:
        """Takes in one input."""
        match event:
            case FramesDropped(link, count):
                self._dropped(link, count)
            case LinkOpened():
                self._carry_out(self.feed.step(event, self._ctx.now_ns))
            case LinkLost(link, reason):
                self._lost(link, reason, event.banned_until_ms or 0)
            case Returned(PendingSnapshot() as purpose):
                self._returned(purpose, event)
            case Returned():
                pass
            case TimeReached(key):
                self._woken(key)
            case Suspended():
                self._suspended()
            case unknown:
                assert_never(unknown)

    def _lost(self, link: str, reason: str, not_before_ms: int = 0) -> None:
        not_before_ns = self._ctx.now_ns + max(not_before_ms - self._ctx.venue_ms, 0) * NS_PER_MS
        self._unreadable.forget(link)
        self._carry_out(self.feed.step(LinkEnded(link, reason, not_before_ns), self._ctx.now_ns))

    def _dropped(self, link: str, count: int) -> None:
        """We were too slow and frames of a link were thrown away: a known gap, so its books begin anew."""
        self._ctx.log(Level.WARNING, f"link {link}: {count} frames dropped: the bot was too slow")
        for name in self._names.values():
            if name.kind in BOOK_KINDS and self.feed.in_charge(name, link):
                self._lose_book(name, "frames dropped: the bot was too slow")

    def _suspended(self) -> None:
        """We were not there for a while: whatever the books hold, the market is elsewhere."""
        for name in self._names.values():
            if name.kind in BOOK_KINDS:
                self._lose_book(name, "after a suspend")

    def _woken(self, key: str) -> None:
        """One of the times of feed or books has come (`feed:…`, `book:…`)."""
        if key.startswith("feed:"):
            banned_ms = self._ctx.rate_limits.banned_until_ms - self._ctx.venue_ms
            if key.startswith("feed:open:") and banned_ms > 0:
                self._ctx.wake(key, banned_ms)  # a banned address does not connect either (protocol.md 6.2)
                return
            self._carry_out(self.feed.step(TimeReached(key), self._ctx.now_ns))
            return
        _, kind, symbol = key.split(":", 2)
        path = "/fapi/v1/rpiDepth" if kind == "rpi" else "/fapi/v1/depth"
        purpose = PendingSnapshot(symbol, kind == "rpi")
        if not self._calls.busy(purpose):
            # Many books may be lost at once: they must not use up what cancels and reconciliation need (faults.md B8, R6).
            self._calls.call("GET", path, {"symbol": symbol, "limit": 1000}, purpose, Priority.NEW_RISK)

    def _returned(self, purpose: PendingSnapshot, event: Returned) -> None:
        """What a depth call brought."""
        key = (purpose.symbol, purpose.rpi)
        answer = event.answer
        if answer is None or answer.status != 200:
            reason = event.reason if answer is None else f"status {answer.status}"
            self._ctx.log(Level.WARNING, f"snapshot of {purpose.symbol} failed: {reason}")
            self._feed_book(key, SnapshotFailed(reason))
            return
        try:
            depth = decode(Depth, answer.body, self.census)
        except DecodeError as error:
            self._feed_book(key, SnapshotFailed(f"unreadable snapshot: {error}"))
            return
        self._feed_book(key, depth)

    # -- frames -------------------------------------------------------------------------------------------------------

    def owns(self, link: str) -> bool:
        """Whether a link is one of the market's."""
        return self.feed.owns(link)

    def take_frame(self, link: str, frame: bytes) -> None:
        """Takes in one frame. The link may be closed for what it brings."""
        found = self._handlers.find(frame)
        try:
            if found is None:
                self._frame(link, frame)
            else:
                handler, payload = found
                self.payloads += 1
                handler(link, payload)
        except DecodeError as error:
            self._bad_frame(link, error)

    def _frame(self, link: str, frame: bytes) -> None:
        """The general way of a frame: an answer to a request, an array, a stream of the whole market or an unexpected one."""
        cut = cut_envelope(frame)
        if cut is None:
            self._control_frame(link, frame)
            return
        name = self._names.get(cut[0])
        if name is None:
            name = self._unexpected(cut[0], frame)
        self.payloads += 1
        for message in decode_stream(name, cut[1], self.census):
            self._route(link, name, message)

    def _route(self, link: str, name: StreamName, message: MarketMessage) -> None:
        """The general way of a message: its link need not be in charge, and it need not be the next one."""
        messages, moved_at = self.feed.route(link, name, message, self._ctx.now_ns)
        self._apply_messages(name, messages, moved_at)

    def _unexpected(self, name: str, frame: bytes) -> StreamName:
        """A stream that was not subscribed to under this name: counted, and understood as far as its grammar goes."""
        self.census.count(f"stream {name[:60]}")
        try:
            return parse(name)
        except ValueError as error:
            raise DecodeError(f"payload of an unknown stream: {error}", frame) from None

    def _control_frame(self, link: str, frame: bytes) -> None:
        if b'"serverShutdown"' in frame:
            self._carry_out(self.feed.rotate(link, self._ctx.now_ns, "the venue announced a shutdown"))
            return
        self._carry_out(self.feed.step(ControlReplied(link, parse_reply(frame)), self._ctx.now_ns))

    def _bad_frame(self, link: str, error: DecodeError) -> None:
        self._ctx.log(Level.WARNING, f"link {link}: unreadable frame: {error}")
        if self._unreadable.too_many(link, self._ctx.now_ns):
            self._ctx.emit(CloseLink(link, TOO_MANY))
            self._lost(link, TOO_MANY)

    def _apply_messages(self, name: StreamName, messages: Sequence[MarketMessage], moved_at: int) -> None:
        """Processes messages of one stream; at `moved_at` another connection took over, nowhere if that is negative."""
        if name.kind not in BOOK_KINDS:
            for message in messages:
                if message.product != COIN_M:
                    self._ctx.publish(StreamMessage(name, message))
            return
        key = (name.symbol, name.kind is StreamKind.RPI_DEPTH)
        before = messages if moved_at < 0 else messages[:moved_at]
        for message in before:
            self._feed_delta(key, message)
        if moved_at >= 0:
            self._feed_book(key, StreamSwitched())
            for message in messages[moved_at:]:
                self._feed_delta(key, message)

    def _feed_delta(self, key: BookKey, message: MarketMessage) -> None:
        assert isinstance(message, DepthUpdate)
        self._feed_book(key, message)

    # -- books --------------------------------------------------------------------------------------------------------

    def _feed_book(self, key: BookKey, event: BookInput) -> None:
        local = self.books.get(key)
        if local is None:
            return
        self._book_effects(local, local.sync.step(event))

    def _book_effects(self, local: LocalBook, effects: Sequence[BookEffect]) -> None:
        for effect in effects:
            if isinstance(effect, BookMoved):  # nearly every one
                self._book_moved(local, effect)
            else:
                self._book_effect(local, effect)

    def _book_moved(self, local: LocalBook, effect: BookMoved | BookReady) -> None:
        local.moved_ns = self._ctx.now_ns
        self._note_lag(local)
        self._ctx.publish(BookUpdate(local.sync.symbol, local.rpi, effect))

    def _book_effect(self, local: LocalBook, effect: RequestSnapshot | BookReady | BookLost) -> None:
        match effect:
            case RequestSnapshot(symbol, after_ms):
                self._ctx.wake(f"book:{'rpi' if local.rpi else 'diff'}:{symbol}", after_ms)
            case BookReady():
                name = local.sync.symbol + (" (rpi)" if local.rpi else "")
                self._ctx.log(Level.INFO, f"book {name}: synced at {local.sync.book.update_id}")
                self._book_moved(local, effect)
            case BookLost(symbol, reason):
                self._ctx.log(Level.WARNING, f"book {symbol}: {reason}; resyncing")
                self._ctx.publish(BookUpdate(symbol, local.rpi, effect))
            case unknown:
                assert_never(unknown)

    def _note_lag(self, local: LocalBook) -> None:
        if self._event_times and local.sync.book.event_ms:
            local.lag_ms = self._ctx.now_ms - local.sync.book.event_ms
            self._least_lag_ms = min(self._least_lag_ms, local.lag_ms)

    def _lose_book(self, name: StreamName, reason: str) -> None:
        self._feed_book((name.symbol, name.kind is StreamKind.RPI_DEPTH), StreamLost(reason))

    def _carry_out(self, effects: Iterable[FeedEffect]) -> None:
        for effect in effects:
            match effect:
                case StreamsLost(names, reason):
                    for name in names:
                        if name.kind in BOOK_KINDS:
                            self._lose_book(name, reason)
                case Deliver(name, messages):
                    self._apply_messages(name, messages, 0)
                case _:  # effects of the feed that are effects of the engine
                    self._ctx.emit(effect)
