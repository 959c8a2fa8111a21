"""The other end of the market links: performs a feed's effects, delivers what it is told to, and keeps the time."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable

import attrs

from coldframe.core.marketdata.links import ControlReplied, Deliver, Feed, FeedEffect, LinkEnded, StreamsLost
from coldframe.model.effects import CloseLink, Log, OpenLink, SendControl, WakeAt
from coldframe.model.inputs import LinkOpened, TimeReached
from coldframe.units import NS_PER_MS
from coldframe.wire.frames import ControlReply
from coldframe.wire.names import StreamName, parse
from coldframe.wire.streams import MarketMessage
from tests.core.made import START_NS


@attrs.define
class Wire:
    """One link as the venue sees it."""

    id: str
    path: str
    open: bool = False
    subscribed: dict[str, None] = attrs.field(factory=dict)
    requests: list[tuple[int, str, list[str], int]] = attrs.field(factory=list)
    unacknowledged: deque[int] = attrs.field(factory=deque)


class Wires:
    """All links of a feed, and its timers. What came through, and what else it wanted, gathers in lists."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.now_ns = START_NS
        self.wires: dict[str, Wire] = {}
        self.timers: dict[str, int] = {}
        self.told: list[tuple[StreamName, MarketMessage]] = []
        self.lost: list[StreamsLost] = []
        self.log: list[str] = []
        self.opened = 0
        self.do(feed.start(self.now_ns))

    # -- effects ------------------------------------------------------------------------------------------------------

    def do(self, effects: Iterable[FeedEffect]) -> None:
        for effect in effects:
            match effect:
                case OpenLink(link, _, path):
                    assert link not in self.wires
                    self.wires[link] = Wire(link, path)
                    self.opened += 1
                case CloseLink(link, reason):
                    del self.wires[link]
                    self.log.append(f"closed {link}: {reason}")
                case SendControl(link, frame):
                    self.control(self.wires[link], json.loads(frame))
                case WakeAt(key, at_ns):
                    assert at_ns > self.now_ns
                    self.timers[key] = at_ns
                case StreamsLost():
                    self.lost.append(effect)
                    self.streams_lost(effect)
                case Deliver(name, messages):
                    self.moved(name)
                    for message in messages:
                        self.tell(name, message)
                case Log(_, text):
                    self.log.append(text)
                case _:
                    raise AssertionError(effect)

    def control(self, wire: Wire, request: dict[str, object]) -> None:
        number, method, names = request["id"], request["method"], request["params"]
        assert isinstance(number, int)
        assert isinstance(names, list)
        assert wire.open
        wire.requests.append((number, str(method), names, self.now_ns))
        wire.unacknowledged.append(number)
        for name in names:
            if method == "SUBSCRIBE":
                wire.subscribed[name] = None
                self.subscribed(wire, parse(name))
            else:
                wire.subscribed.pop(name, None)

    def subscribed(self, wire: Wire, name: StreamName) -> None:
        """For subclasses: a link asks for a stream from now on."""

    def streams_lost(self, effect: StreamsLost) -> None:
        """For subclasses: streams are interrupted."""

    def moved(self, name: StreamName) -> None:
        """For subclasses: a stream goes on over another link."""

    def tell(self, name: StreamName, message: MarketMessage) -> None:
        self.told.append((name, message))

    # -- what happens -------------------------------------------------------------------------------------------------

    def open(self, link: str) -> None:
        self.wires[link].open = True
        self.do(self.feed.step(LinkOpened(link), self.now_ns))

    def open_all(self) -> None:
        for wire in [wire for wire in self.wires.values() if not wire.open]:
            self.open(wire.id)

    def fall(self, link: str, reason: str = "gone") -> None:
        del self.wires[link]
        self.do(self.feed.step(LinkEnded(link, reason), self.now_ns))

    def acknowledge(self) -> None:
        for wire in list(self.wires.values()):
            while wire.unacknowledged:
                self.do(self.feed.step(ControlReplied(wire.id, ControlReply(wire.unacknowledged.popleft())), self.now_ns))

    def say(self, link: str, name: StreamName, message: MarketMessage) -> None:
        """One message comes over a link."""
        messages, moved_at = self.feed.route(link, name, message, self.now_ns)
        for place, passed in enumerate(messages):
            if place == moved_at:
                self.moved(name)
            self.tell(name, passed)
        if moved_at == len(messages):
            self.moved(name)

    def pass_time(self, ms: int) -> None:
        """Lets time pass, and wakes the feed whenever it has asked for it."""
        end_ns = self.now_ns + ms * NS_PER_MS
        while self.timers and min(self.timers.values()) <= end_ns:
            key = min(self.timers, key=lambda timer: self.timers[timer])
            self.now_ns = max(self.now_ns, self.timers.pop(key))
            self.do(self.feed.step(TimeReached(key), self.now_ns))
        self.now_ns = end_ns
