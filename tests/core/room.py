"""A market with a tiny venue round it: links that open at once, a clock, and the books as the venue has them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from coldframe.core.connectivity.rest_queue import RestQueue
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.marketdata.book_sync import BookLost, BookMoved, BookReady
from coldframe.core.marketdata.market import BookUpdate, Market, StreamMessage
from coldframe.core.marketdata.shards import FeedLimits
from coldframe.enums import Side
from coldframe.model.effects import CallRest, CloseLink, Log, OpenLink, SendControl, WakeAt
from coldframe.model.events import BookState
from coldframe.model.inputs import LinkOpened, RestAnswered, TimeReached
from coldframe.units import NS_PER_MS
from coldframe.wire.codec import encode
from coldframe.wire.frames import envelope
from coldframe.wire.names import StreamKind, StreamName, parse
from coldframe.wire.rest import Answer
from tests.core.made import START_NS, delta, depth

DEPTH, RPI = "/fapi/v1/depth", "/fapi/v1/rpiDepth"


class Room:
    """A market with links that open at once, a clock, and for every book of the venue its last update id and its levels."""

    def __init__(self, names: Iterable[str], *, limits: FeedLimits | None = None) -> None:
        self.ctx = StepContext(lambda: 0.5, now_ns=START_NS)
        self.calls = RestQueue(self.ctx)
        self.names = [parse(name) for name in names]
        self.market = Market(self.ctx, self.calls, self.names, limits or FeedLimits())
        #: How long what the venue says is on its way.
        self.late_ms = 40
        self.facts: list[BookUpdate | StreamMessage] = []
        self.log: list[str] = []
        self.asked: list[tuple[int, CallRest]] = []
        self.closed: list[str] = []
        self.links: dict[str, set[str]] = {}
        self.timers: dict[str, int] = {}
        self.venue: dict[str, tuple[int, dict[str, str]]] = {str(name): (100, {}) for name in self.names}
        self.market.start()
        self.perform()

    def perform(self) -> None:
        while effects := self.ctx.take_effects():
            for effect in effects:
                match effect:
                    case OpenLink(link):
                        self.links[link] = set()
                        self.market.step(LinkOpened(link))
                    case CloseLink(link):
                        self.closed.append(link)
                        self.links.pop(link, None)
                    case SendControl(link, frame):
                        request = json.loads(frame)
                        self.links[link] |= set(request["params"])
                        self.market.take_frame(link, json.dumps({"result": None, "id": request["id"]}).encode())
                    case WakeAt(key, at_ns):
                        self.timers[key] = at_ns
                    case CallRest():
                        self.asked.append((self.ctx.now_ms, effect))
                    case Log(_, text):
                        self.log.append(text)
        self.facts += [event for event in self.ctx.take_events() if isinstance(event, BookUpdate | StreamMessage)]

    def run(self, ms: int) -> None:
        end_ns = self.ctx.now_ns + ms * NS_PER_MS
        while self.timers and min(self.timers.values()) <= end_ns:
            key = min(self.timers, key=lambda timer: self.timers[timer])
            self.ctx.now_ns = max(self.ctx.now_ns, self.timers.pop(key))
            if key == "rest:queue":
                self.calls.step(TimeReached(key))
            else:
                self.market.step(TimeReached(key))
            self.perform()
        self.ctx.now_ns = end_ns

    def link_of(self, name: str) -> str:
        return next(link for link, names in self.links.items() if name in names)

    def feed(self, link: str, *frames: bytes) -> None:
        for frame in frames:
            if self.market.owns(link):
                self.market.take_frame(link, frame)
        self.perform()

    def tick(self, name: str, **levels: str) -> None:
        """The book of a stream moves, and the stream says so. Levels as b99="1" and a101="2"."""
        before, now = self.venue[name]
        self.venue[name] = (before + 3, {key: value for key, value in (now | levels).items() if value != "0"})
        bids = [(key[1:], value) for key, value in levels.items() if key[0] == "b"]
        asks = [(key[1:], value) for key, value in levels.items() if key[0] == "a"]
        symbol = parse(name).symbol
        self.feed(
            self.link_of(name),
            envelope(name, encode(delta(before, before + 3, bids, asks, symbol=symbol, event_ms=self.ctx.now_ms - self.late_ms))),
        )

    def miss(self, name: str) -> None:
        """The book moves, and what the stream says of it is lost."""
        at, levels = self.venue[name]
        self.venue[name] = (at + 3, levels)

    def answer(self, call: CallRest, body: object | None = None, status: int = 200) -> None:
        """Answers a depth call, by default with the truth of this moment."""
        if body is None:
            kind = StreamKind.RPI_DEPTH if call.path == RPI else StreamKind.DIFF_DEPTH
            name = next(name for name in self.names if name.kind is kind and name.symbol == call.params["symbol"])
            at, levels = self.venue[str(name)]
            sides = [[(key[1:], value) for key, value in levels.items() if key[0] == side] for side in "ba"]
            body = depth(at, *sides)
        raw = body if isinstance(body, bytes) else encode(body)
        self.back(RestAnswered(call.call_id, Answer(status, {}, raw), self.ctx.now_ns))

    def back(self, answered: RestAnswered) -> None:
        (returned,) = self.calls.step(answered)
        self.market.step(returned)
        self.perform()

    def answer_all(self) -> None:
        for _, call in self.take_asked():
            self.answer(call)

    def take_asked(self) -> list[tuple[int, CallRest]]:
        asked, self.asked = self.asked, []
        return asked

    def sync(self, *names: str) -> None:
        for name in names:
            self.tick(name, b99="1", a101="1")
            self.tick(name, b98="1")
        self.run(300)
        self.answer_all()
        for name in names:
            self.tick(name, b97="1")
            assert self.state(name) is BookState.SYNCED

    def state(self, name: str) -> BookState:
        stream = parse(name)
        book = self.market.book(stream.symbol, stream.kind is StreamKind.RPI_DEPTH)
        assert book is not None
        return book.sync.state

    def levels(self, name: str) -> dict[str, str]:
        stream = parse(name)
        book = self.market.synced_book(stream.symbol, stream.kind is StreamKind.RPI_DEPTH)
        assert book is not None
        rows = [("b", *row) for row in book.levels(Side.BUY, 100)] + [("a", *row) for row in book.levels(Side.SELL, 100)]
        return {f"{side}{price}": str(quantity) for side, price, quantity in rows}

    def told_of(self, symbol: str) -> list[tuple[bool, BookReady | BookMoved | BookLost]]:
        """What was told of a symbol's books."""
        return [(fact.rpi, fact.change) for fact in self.facts if isinstance(fact, BookUpdate) and fact.symbol == symbol]


def stream(symbol: str, channel: str = "depth@100ms") -> str:
    return str(StreamName.of(symbol, channel))
