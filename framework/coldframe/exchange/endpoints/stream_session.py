"""One stream connection without its socket: which streams it gets, in which form, what is answered, and when it is closed.

The sources are `seeds/004` ("Live Subscribing") and protocol.md 2 and 4. The exchange server and the pump hand frames in and carry
out what a `StreamReply` says (`coldframe.exchange.context.Context.follow`).
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from coldframe.exchange.endpoints.connection_life import TOO_MANY_MESSAGES, TOO_MANY_STREAMS, CloseFrame
from coldframe.exchange.faults import ConnectionKind
from coldframe.exchange.market.subscriptions import Publication
from coldframe.wire.frames import Control, ControlError, error_frame, parse_control, reply_frame
from coldframe.wire.names import StreamKind, parse
from coldframe.wire.routes import MAX_STREAMS_PER_LINK, Route, StreamTarget, route_of

#: Messages a client may send: so many at once, and so many a second for ever (protocol.md 2, measured).
BURST: Final = 15
PER_SECOND: Final = 10
LONGEST_NAME: Final = 200


class Allowance:
    """How many messages a client may still send: a bucket that fills steadily."""

    def __init__(self, now_s: float) -> None:
        self._left = float(BURST)
        self._at_s = now_s

    def spend(self, now_s: float) -> bool:
        """Takes one message; false when there was none left."""
        now_s = max(now_s, self._at_s)  # some count whole milliseconds
        self._left = min(BURST, self._left + (now_s - self._at_s) * PER_SECOND)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


@attrs.frozen
class StreamReply:
    """What follows from a frame, in this order: streams begin and end, frames go out, the connection is closed."""

    #: Market streams, and listen keys, that the connection gets from now on.
    streams: tuple[str, ...] = ()
    listen_keys: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    frames: tuple[bytes, ...] = ()
    #: Why the connection is closed; None while it stands.
    close: CloseFrame | None = None


class StreamSession:
    """The subscriptions of one connection. With `all_unrouted` the paths without a route serve every stream."""

    def __init__(self, target: StreamTarget, now_s: float, *, all_unrouted: bool) -> None:
        self._route = target.route
        self._combined = target.combined
        self._first = target.names
        self._events = {key: frozenset(kinds) for key, kinds in target.events if kinds}
        self._all_unrouted = all_unrouted
        self._names: dict[str, None] = {}
        self._allowance = Allowance(now_s)

    @property
    def names(self) -> tuple[str, ...]:
        """The names subscribed to, oldest first, whether this route serves them or not."""
        return tuple(self._names)

    @property
    def carries(self) -> ConnectionKind:
        """What the connection is for: with one listen key among its names it counts as private."""
        return ConnectionKind.PRIVATE if any(is_listen_key(name) for name in self._names) else ConnectionKind.MARKET

    def frame_of(self, publication: Publication) -> str | None:
        """A publication in the form of this connection; None for a private event of a kind that it did not ask for."""
        wanted = self._events.get(publication.name)
        if wanted is not None and publication.event not in wanted:
            return None
        return publication.enveloped if self._combined else publication.raw

    def spend_ping(self, at_ms: int) -> bool:
        """Takes a ping or pong of the client: it counts as a control frame does. False when it is one too many."""
        return self._allowance.spend(at_ms / 1000)

    def begin(self) -> StreamReply:
        """Subscribes to the streams that the address names."""
        return self._subscribe(self._first)

    def receive(self, frame: bytes, now_s: float) -> StreamReply:
        """Takes a frame of the client."""
        if not self._allowance.spend(now_s):
            return StreamReply(close=TOO_MANY_MESSAGES)
        control = parse_control(frame)
        if isinstance(control, ControlError):
            return StreamReply(frames=(error_frame(control),))
        reply, result = self._obey(control)
        return reply if reply.close else attrs.evolve(reply, frames=(reply_frame(control.id, result),))

    def end(self) -> StreamReply:
        """Ends every subscription: the connection is gone."""
        return self._unsubscribe(self.names)

    def _obey(self, control: Control) -> tuple[StreamReply, Any]:
        match control.method:
            case "SUBSCRIBE":
                return self._subscribe(control.params), None
            case "UNSUBSCRIBE":
                return self._unsubscribe(control.params), None
            case "LIST_SUBSCRIPTIONS":
                return StreamReply(), list(self._names)
            case "SET_PROPERTY":
                self._combined = control.params[1]
                return StreamReply(), None
            case _:
                return StreamReply(), self._combined

    def _subscribe(self, names: tuple[str, ...]) -> StreamReply:
        streams: list[str] = []
        keys: list[str] = []
        refusal: StreamReply = StreamReply()
        for name in names:
            if name in self._names or len(name) > LONGEST_NAME:
                continue  # a name beyond all names is acknowledged, as any wrong one is, and not kept
            if len(self._names) >= MAX_STREAMS_PER_LINK:
                refusal = StreamReply(frames=(error_frame(ControlError(4, "Too many subscriptions")),), close=TOO_MANY_STREAMS)
                break
            self._names[name] = None
            if not is_listen_key(name):
                streams += [name] if self._serves(name) else []
            elif self._serves_private():
                keys.append(name)
        return attrs.evolve(refusal, streams=tuple(streams), listen_keys=tuple(keys))

    def _unsubscribe(self, names: tuple[str, ...]) -> StreamReply:
        ended = tuple(name for name in dict.fromkeys(names) if name in self._names)
        for name in ended:
            del self._names[name]
        return StreamReply(ended=ended)

    def _serves_private(self) -> bool:
        return self._route is Route.PRIVATE or (self._route is Route.UNROUTED and self._all_unrouted)

    def _serves(self, name: str) -> bool:
        """Whether this route serves the stream; anywhere else it is acknowledged and silent."""
        try:
            parsed = parse(name)
        except ValueError:
            return False
        if self._route is Route.UNROUTED:
            return self._all_unrouted or route_of(parsed) is Route.PUBLIC
        # `trade` is not documented; its listeners look for it on either route.
        return route_of(parsed) is self._route or (parsed.kind is StreamKind.TRADE and self._route is Route.PUBLIC)


def is_listen_key(name: str) -> bool:
    """Stream names have an `@` or a `!`; the one that has neither is `tradingSession`."""
    return "@" not in name and not name.startswith("!") and name != "tradingSession"
