"""The market connections: opened, subscribed, watched, rotated before they age, reopened when they fall.

One machine for all of them. It never sees bytes of a socket: the Trio tasks open and close the links it asks for and tell it what
became of them; decoded messages pass through `route`, which lets through what comes over the connection in charge of a stream.
While a connection is being rotated, its successor's messages are held back until the old one has told everything before them
(make before break); from then on the old one's are held back, in case the successor falls. Neither a hole nor a repetition comes
through, whatever order the two of them speak in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count
from typing import assert_never

import attrs

from coldframe.core.connectivity.backoff import Backoff, Chance
from coldframe.core.connectivity.connect_budget import ConnectBudget
from coldframe.core.connectivity.due_checks import DueChecks
from coldframe.core.marketdata.heard_stream import HeardStream
from coldframe.core.marketdata.rotation import StreamSequence
from coldframe.core.marketdata.shards import FeedLimits, Shard, silence_ms
from coldframe.model.effects import CloseLink, Effect, Level, LinkKind, Log, OpenLink, SendControl, WakeAt
from coldframe.model.inputs import LinkOpened, TimeReached
from coldframe.units import NS_PER_MS, NS_PER_S
from coldframe.wire.frames import ControlReply, control_frame
from coldframe.wire.names import StreamName
from coldframe.wire.routes import combined_path, route_of
from coldframe.wire.streams import MarketMessage

#: After a rotation that failed, how long until the next one (milliseconds).
_RETRY_ROTATION_MS = 60_000
#: How often a silent stream is asked for again before its link is reopened for it, once; and how often its time is doubled.
_WARNINGS = 2
_LONGEST_PATIENCE = 6


@attrs.frozen
class StreamsLost:
    """These streams are interrupted: whatever depends on them has to begin anew."""

    names: tuple[StreamName, ...]
    reason: str


@attrs.frozen
class Deliver:
    """A stream goes on over another link; these messages had been held back and may be processed now, in order."""

    name: StreamName
    messages: tuple[MarketMessage, ...]


FeedEffect = Effect | StreamsLost | Deliver


@attrs.frozen
class LinkEnded:
    """A link ended or could not be opened; it may not be opened again before that moment (ours)."""

    link: str
    reason: str
    not_before_ns: int = 0


@attrs.frozen
class ControlReplied:
    """An answer to a SUBSCRIBE or UNSUBSCRIBE on this link."""

    link: str
    reply: ControlReply


#: What the feed takes in: what became of its links and requests, and its own times (`feed:…`).
FeedInput = LinkOpened | LinkEnded | ControlReplied | TimeReached


@attrs.define
class _FeedLink:
    """One connection: whether it is open, what still has to be said on it, what waits for an acknowledgement."""

    id: str
    opened_ns: int | None = None
    outbox: deque[tuple[str, tuple[str, ...]]] = attrs.field(factory=deque)
    sent_ns: deque[int] = attrs.field(factory=lambda: deque(maxlen=16))
    pending: dict[int, int] = attrs.field(factory=dict)


@attrs.define
class _LinkPair:
    """One shard and the connections that carry it: the one in charge, and its successor during a rotation."""

    shard: Shard
    backoff: Backoff
    rotate_ms: int
    fell: bool = False
    link: _FeedLink | None = None
    successor: _FeedLink | None = None
    overlap_until_ns: int = 0


class Feed:
    """All market connections. `chance` gives the jitter of back-off and rotation, `connects` counts what is opened."""

    def __init__(self, shards: Iterable[Shard], limits: FeedLimits, chance: Chance, connects: ConnectBudget | None = None) -> None:
        self._limits = limits
        self._chance = chance
        self._connects = connects or ConnectBudget(limits.connects_per_5min)
        self._pairs = {shard.id: _LinkPair(shard, Backoff(chance), self._rotation_ms()) for shard in shards}
        self._streams = {name: HeardStream(name) for pair in self._pairs.values() for name in pair.shard.names}
        self._pair_of = {name: pair for pair in self._pairs.values() for name in pair.shard.names}
        self._by_link: dict[str, tuple[_LinkPair, _FeedLink]] = {}
        #: The ids of this feed's links, at every moment.
        self.links = self._by_link.keys()
        self._ids = count(1)
        self._generation = count(1)
        self._checks = DueChecks("feed:check:", limits.check_ms)
        #: How often a connection had to be opened again after it had been open.
        self.reconnects = 0

    # -- what the Trio tasks report ---------------------------------------------------------------------------------------

    def start(self, now_ns: int) -> list[FeedEffect]:
        """Opens every connection."""
        effects: list[FeedEffect] = []
        for pair in self._pairs.values():
            effects += self._open(pair, now_ns)
        self._checks.begin(now_ns)
        return effects

    def add(self, name: StreamName, now_ns: int) -> list[FeedEffect]:
        """Listens to one more stream from now on: over a connection of its route that has room, else over a new one."""
        route, most = route_of(name), self._limits.streams_per_link
        of_route = [pair for pair in self._pairs.values() if pair.shard.route is route]
        pair = next((candidate for candidate in of_route if len(candidate.shard.names) < most), None)
        self._streams[name] = HeardStream(name)
        if pair is None:
            return self._add_shard(Shard(f"{route}-{len(of_route) + 1}", route, (name,)), now_ns)
        pair.shard = attrs.evolve(pair.shard, names=(*pair.shard.names, name))
        self._pair_of[name] = pair
        effects: list[FeedEffect] = []
        for link in (pair.link, pair.successor):
            if link is not None and link.opened_ns is not None:
                self._queue(link, "SUBSCRIBE", (name,))
                effects += self._send(link, now_ns)
        if pair.link is not None and pair.link.opened_ns is not None:
            self._take_charge(self._streams[name], pair.link.id, now_ns)
        return [*effects, *self._next_check(now_ns)]

    def _add_shard(self, shard: Shard, now_ns: int) -> list[FeedEffect]:
        pair = self._pairs[shard.id] = _LinkPair(shard, Backoff(self._chance), self._rotation_ms())
        self._pair_of |= dict.fromkeys(shard.names, pair)
        return self._open(pair, now_ns)

    def owns(self, link: str) -> bool:
        """Whether a link is one of this feed's."""
        return link in self._by_link

    def stream(self, name: StreamName) -> HeardStream:
        """What is known of a stream that is listened to."""
        return self._streams[name]

    def in_charge(self, name: StreamName, link: str) -> bool:
        """Whether a stream is heard over this link."""
        stream = self._streams.get(name)
        return stream is not None and stream.lane.owner == link

    def step(self, event: FeedInput, now_ns: int) -> list[FeedEffect]:
        """Takes in one input."""
        return [*self._take_in(event, now_ns), *self._next_check(now_ns)]

    def _take_in(self, event: FeedInput, now_ns: int) -> list[FeedEffect]:
        match event:
            case LinkOpened(link):
                return self._opened(link, now_ns)
            case LinkEnded(link, reason, not_before_ns):
                return self._lost(link, reason, now_ns, not_before_ns)
            case ControlReplied(link, reply):
                return self._replied(link, reply)
            case TimeReached(key):
                return self._woken(key, now_ns)
            case unknown:
                assert_never(unknown)

    def _opened(self, link: str, now_ns: int) -> list[FeedEffect]:
        """A connection stands: subscribe to its streams, batch by batch."""
        pair, connection = self._by_link[link]
        connection.opened_ns = now_ns
        pair.overlap_until_ns = now_ns + self._limits.overlap_ms * NS_PER_MS
        pair.backoff.succeeded(now_ns)
        self._queue(connection, "SUBSCRIBE", pair.shard.names)
        if connection is pair.link:
            for name in pair.shard.names:
                self._take_charge(self._streams[name], link, now_ns)
        again: list[FeedEffect] = [Log(Level.INFO, f"link {link}: open again")] if pair.fell else []
        pair.fell = False
        return again + self._send(connection, now_ns)

    def _lost(self, link: str, reason: str, now_ns: int, not_before_ns: int = 0) -> list[FeedEffect]:
        """A connection ended or could not be opened. Its successor takes over if there is one; else it is opened again later."""
        pair, connection = self._by_link.pop(link)
        if connection is pair.successor:
            return self._fall_back(pair, connection, reason, now_ns)
        was_open = connection.opened_ns is not None
        self.reconnects += was_open
        pair.fell |= was_open
        if pair.successor is not None:
            return self._promote(pair, reason)
        delay_ms = pair.backoff.next_delay_ms(now_ns)
        pair.link = None
        at_ns = max(now_ns + delay_ms * NS_PER_MS, not_before_ns)
        level = Level.WARNING if was_open else Level.INFO
        wait_s = (at_ns - now_ns) / NS_PER_S
        effects: list[FeedEffect] = [Log(level, f"link {link} lost: {reason}; opening it again in {wait_s:.1f} s")]
        if was_open:
            effects.append(self._interrupt(pair, f"link lost: {reason}"))
        return [*effects, WakeAt(f"feed:open:{pair.shard.id}", at_ns)]

    def _fall_back(self, pair: _LinkPair, successor: _FeedLink, reason: str, now_ns: int) -> list[FeedEffect]:
        """The successor fell: the old link, which has gone on all the time, is in charge of everything again."""
        pair.successor = None
        pair.rotate_ms = self._age_ms(pair, now_ns) + _RETRY_ROTATION_MS
        text = f"link {successor.id}: rotation failed ({reason}), trying again in a minute"
        effects: list[FeedEffect] = [Log(Level.WARNING, text)]
        for name in pair.shard.names:
            lanes = self._streams[name].lanes
            moved = [lane for lane in lanes if lane.owner == successor.id]
            if moved and pair.link is not None:
                effects.append(_deliver(name, moved, pair.link.id))
            for lane in lanes:
                lane.held.clear()
        return effects

    def _promote(self, pair: _LinkPair, reason: str) -> list[FeedEffect]:
        """The old link fell while its successor was there or on its way."""
        assert pair.successor is not None
        if pair.successor.opened_ns is not None:
            return self._finish_rotation(pair)
        pair.link, pair.successor = pair.successor, None
        return [self._interrupt(pair, f"link lost: {reason}")]

    def _interrupt(self, pair: _LinkPair, reason: str) -> StreamsLost:
        for name in pair.shard.names:
            self._streams[name].begin(None)
        return StreamsLost(pair.shard.names, reason)

    def _replied(self, link: str, reply: ControlReply) -> list[FeedEffect]:
        """An answer to a SUBSCRIBE or UNSUBSCRIBE. It proves only that the link is not deaf."""
        _, connection = self._by_link[link]
        if isinstance(reply.id, int):
            connection.pending.pop(reply.id, None)
        if reply.error is not None:
            return [Log(Level.WARNING, f"link {link}: the venue refused a request: {reply.error.code} {reply.error.msg}")]
        return []

    def _woken(self, key: str, now_ns: int) -> list[FeedEffect]:
        """One of this feed's times has come (`key` begins with `feed:`)."""
        _, kind, name = key.split(":", 2)
        match kind:
            case "open":
                pair = self._pairs[name]
                return self._open(pair, now_ns) if pair.link is None else []
            case "control":
                known = self._by_link.get(name)
                return self._send(known[1], now_ns) if known else []
            case _:
                self._checks.taken()
                return self._check(now_ns)

    def rotate(self, link: str, now_ns: int, reason: str) -> list[FeedEffect]:
        """Opens a successor for a link now: it has become old, or the venue has announced that it will close it."""
        pair, connection = self._by_link[link]
        if connection is not pair.link or pair.successor is not None:
            return []
        wait_ms, said = self._connects.reserve(LinkKind.MARKET, now_ns)
        if wait_ms:
            pair.rotate_ms = self._age_ms(pair, now_ns) + wait_ms
            return [*_warned(said), *self._next_check(now_ns)]
        pair.successor = self._new_link(pair)
        return [Log(Level.INFO, f"link {link}: rotating ({reason})"), _open(pair, pair.successor)]

    # -- messages -----------------------------------------------------------------------------------------------------

    def route(self, link: str, name: StreamName, message: MarketMessage, now_ns: int) -> tuple[Sequence[MarketMessage], int]:
        """The messages to process now that this one came over `link` (usually just this one), and where the stream moved.

        That is the place among them at which another connection took over, -1 when none did. The stream goes on there without a
        hole, but its first message may overlap the last one. A stream that was not subscribed to brings nothing.
        """
        stream = self._streams.get(name)
        if stream is None:
            return (), -1
        stream.spoke(now_ns)
        successor = self._pair_of[name].successor
        return stream.lane_for(message).step(link, successor.id if successor else None, message)

    # -- what the feed does by itself ---------------------------------------------------------------------------------

    def _check(self, now_ns: int) -> list[FeedEffect]:
        effects: list[FeedEffect] = []
        for pair in self._pairs.values():
            link = pair.link
            if link is None or link.opened_ns is None:
                continue
            if pair.successor is not None:
                effects += self._check_rotation(pair, pair.successor, now_ns)
            elif self._age_ms(pair, now_ns) >= pair.rotate_ms:
                effects += self.rotate(link.id, now_ns, "its planned end is near")
            if pair.link is link:
                effects += self._check_link(pair, link, now_ns)
        return effects

    def _check_rotation(self, pair: _LinkPair, successor: _FeedLink, now_ns: int) -> list[FeedEffect]:
        """Ends the overlap when its time has come; a successor that has not even acknowledged its streams must go instead."""
        if successor.opened_ns is None or now_ns < pair.overlap_until_ns:
            return []
        if successor.outbox or successor.pending:
            return self._reopen(pair, successor, "no acknowledgement of a request", now_ns)
        return self._finish_rotation(pair)

    def _check_link(self, pair: _LinkPair, link: _FeedLink, now_ns: int) -> list[FeedEffect]:
        """Reopens a link that is deaf or silent as a whole; asks again for a single stream that is, and again.

        For one stream alone a link is reopened once: if that does not help, its neighbours must not pay for it for ever.
        """
        deaf = [sent for sent in link.pending.values() if now_ns - sent > self._limits.acknowledge_ms * NS_PER_MS]
        if deaf:
            return self._reopen(pair, link, "no acknowledgement of a request", now_ns)
        silent = [stream for name in pair.shard.names if self._is_silent(stream := self._streams[name], now_ns)]
        if not silent:
            return []
        watched = [name for name in pair.shard.names if silence_ms(name) is not None]
        for stream in silent:
            stream.warned()
        if len(silent) == len(watched) or any(stream.warnings == _WARNINGS + 1 for stream in silent):
            return self._reopen(pair, link, f"no data on {len(silent)} of {len(watched)} watched streams", now_ns)
        return self._ask_again(link, silent, now_ns)

    def _is_silent(self, stream: HeardStream, now_ns: int) -> bool:
        """Whether a stream has been silent for too long; a stream that stays silent is given more time after every try."""
        allowed_ns = self._allowed_ns(stream)
        return allowed_ns is not None and now_ns - stream.last_ns > allowed_ns

    def _allowed_ns(self, stream: HeardStream) -> int | None:
        """How long a stream may be silent; None when its silence means nothing."""
        allowed_ms = silence_ms(stream.name)
        if allowed_ms is None:
            return None
        return allowed_ms * (self._limits.patience << min(stream.warnings, _LONGEST_PATIENCE)) * NS_PER_MS

    def _ask_again(self, link: _FeedLink, silent: list[HeardStream], now_ns: int) -> list[FeedEffect]:
        names = tuple(stream.name for stream in silent)
        for stream in silent:
            stream.asked_for(now_ns)
        self._queue(link, "UNSUBSCRIBE", names)
        self._queue(link, "SUBSCRIBE", names)
        text = ", ".join(map(str, names[:3]))
        return [
            Log(Level.WARNING, f"link {link.id}: no data on {text}{' ...' if len(names) > 3 else ''}, subscribing again"),
            StreamsLost(names, "no data"),
            *self._send(link, now_ns),
        ]

    def _reopen(self, pair: _LinkPair, link: _FeedLink, reason: str, now_ns: int) -> list[FeedEffect]:
        return [CloseLink(link.id, reason), *self._lost(link.id, reason, now_ns)]

    def _finish_rotation(self, pair: _LinkPair) -> list[FeedEffect]:
        """The successor is in charge of everything from here on, and the old link is closed."""
        old, pair.link, pair.successor = pair.link, pair.successor, None
        assert pair.link is not None
        pair.rotate_ms = self._rotation_ms()
        effects: list[FeedEffect] = []
        for name in pair.shard.names:
            lanes = self._streams[name].lanes
            left = [lane for lane in lanes if lane.owner != pair.link.id]
            for lane in lanes:
                if lane.owner == pair.link.id:
                    lane.finish()
            if left:
                effects.append(_deliver(name, left, pair.link.id))
        if old is not None and old.id in self._by_link:
            del self._by_link[old.id]
            effects.append(CloseLink(old.id, "rotated"))
        return effects

    # -- requests on a link -------------------------------------------------------------------------------------------

    def _queue(self, link: _FeedLink, method: str, names: tuple[StreamName, ...]) -> None:
        size = self._limits.names_per_request
        for start in range(0, len(names), size):
            link.outbox.append((method, tuple(map(str, names[start : start + size]))))

    def _send(self, link: _FeedLink, now_ns: int) -> list[FeedEffect]:
        """Sends what the pace allows; the rest waits for its second."""
        effects: list[FeedEffect] = []
        while link.outbox:
            recent = [at for at in link.sent_ns if now_ns - at < NS_PER_S]
            if len(recent) >= self._limits.control_per_s:
                effects.append(WakeAt(f"feed:control:{link.id}", recent[0] + NS_PER_S))
                break
            method, names = link.outbox.popleft()
            request_id = next(self._ids)
            link.pending[request_id] = now_ns
            link.sent_ns.append(now_ns)
            effects.append(SendControl(link.id, control_frame(method, names, request_id)))
        return effects

    def _open(self, pair: _LinkPair, now_ns: int) -> list[FeedEffect]:
        """Opens the connection of a shard, as soon as one more may be opened."""
        wait_ms, said = self._connects.reserve(LinkKind.MARKET, now_ns)
        if wait_ms:
            return [*_warned(said), WakeAt(f"feed:open:{pair.shard.id}", now_ns + wait_ms * NS_PER_MS)]
        pair.link = self._new_link(pair)
        return [_open(pair, pair.link)]

    def _new_link(self, pair: _LinkPair) -> _FeedLink:
        link = _FeedLink(f"{pair.shard.id}.{next(self._generation)}")
        self._by_link[link.id] = (pair, link)
        return link

    def _take_charge(self, stream: HeardStream, link: str, now_ns: int) -> None:
        stream.asked_for(now_ns)
        stream.begin(link)

    def _next_check(self, now_ns: int) -> list[WakeAt]:
        return self._checks.at(self.next_due_ns(now_ns), now_ns)

    def next_due_ns(self, now_ns: int) -> int | None:
        """When there is something to check next: a link that is old, deaf or silent, a rotation; None while there is nothing."""
        opened = [pair for pair in self._pairs.values() if pair.link is not None and pair.link.opened_ns is not None]
        return min((due_ns for pair in opened for due_ns in self._due_times(pair, now_ns)), default=None)

    def _due_times(self, pair: _LinkPair, now_ns: int) -> Iterator[int]:
        link, successor = pair.link, pair.successor
        if successor is not None and successor.opened_ns is not None:
            yield pair.overlap_until_ns
        elif successor is None and link is not None:
            yield (link.opened_ns or 0) + pair.rotate_ms * NS_PER_MS
        yield from (sent_ns + self._limits.acknowledge_ms * NS_PER_MS + 1 for sent_ns in (link.pending.values() if link else ()))
        for stream in (self._streams[name] for name in pair.shard.names):
            allowed_ns = self._allowed_ns(stream)
            if allowed_ns is not None:
                yield stream.last_ns + allowed_ns + 1
            if allowed_ns is not None and stream.warnings:
                # It may speak before its time is over, and is then given less.
                yield now_ns + (allowed_ns >> min(stream.warnings, _LONGEST_PATIENCE))

    def _rotation_ms(self) -> int:
        """A little before the planned age, never for all links at once."""
        return int(self._limits.rotate_after_ms * (1 - 0.05 * self._chance()))

    @staticmethod
    def _age_ms(pair: _LinkPair, now_ns: int) -> int:
        opened = pair.link.opened_ns if pair.link else None
        return 0 if opened is None else (now_ns - opened) // NS_PER_MS


def _warned(text: str) -> list[FeedEffect]:
    return [Log(Level.WARNING, text)] if text else []


def _open(pair: _LinkPair, link: _FeedLink) -> OpenLink:
    return OpenLink(link.id, LinkKind.MARKET, combined_path(pair.shard.route))


def _deliver(name: StreamName, lanes: Iterable[StreamSequence], link: str) -> Deliver:
    """Lanes of a stream go on over another link."""
    return Deliver(name, tuple(chain.from_iterable(lane.hand_over(link) for lane in lanes)))
