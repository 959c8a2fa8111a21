"""A stream connection: control frames in, payloads out, on one of the routes (`seeds/004`, "Live Subscribing"; protocol.md 4)."""

from __future__ import annotations

from typing import Any, Final

import trio

from coldframe.exchange.context import Context
from coldframe.exchange.faults import ConnectionKind
from coldframe.exchange.market.subscriptions import Publication
from coldframe.exchange_server.links.socket import CloseReason, ServerSocket
from coldframe.exchange_server.links.websocket import GOING_AWAY, POLICY, SocketLink
from coldframe.wire.frames import Control, ControlError, error_frame, parse_control, reply_frame
from coldframe.wire.names import StreamKind, StreamName, parse
from coldframe.wire.routes import MAX_STREAMS_PER_LINK, Route, StreamTarget, route_of

#: Messages a client may send: so many at once, and so many a second for ever (protocol.md 2, measured).
_BURST: Final = 15
_PER_SECOND: Final = 10
_LONGEST_NAME: Final = 200
#: "Important WebSocket Change Notice" of 2026-03-06 (protocol.md 2).
_ENDED: Final = (
    "a client opened {}: the exchange ended stream paths without a route on 2026-04-23; use /public, /market and /private there"
    ' (venue.embedded.unrouted = "public" answers here as it did before that day)'
)


class Allowance:
    """How many messages a client may still send: a bucket that fills steadily."""

    def __init__(self, now_s: float) -> None:
        self._left = float(_BURST)
        self._at_s = now_s

    def spend(self, now_s: float) -> bool:
        """Takes one message; false when there was none left."""
        self._left = min(_BURST, self._left + (now_s - self._at_s) * _PER_SECOND)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


class StreamLink:
    """One stream connection. As a listener of streams it takes publications and never waits."""

    def __init__(self, socket: ServerSocket, target: StreamTarget, context: Context) -> None:
        self._link = SocketLink(socket, context.settings, context.now_ms)
        self._context = context
        self._target = target
        self._combined = target.combined
        self._events = {key: frozenset(kinds) for key, kinds in target.events if kinds}
        self._names: dict[str, None] = {}
        self._allowance = Allowance(trio.current_time())

    @property
    def private(self) -> bool:
        """Whether this connection carries a user-data stream."""
        return any(_is_listen_key(name) for name in self._names)

    @property
    def carries(self) -> ConnectionKind:
        return ConnectionKind.PRIVATE if self.private else ConnectionKind.MARKET

    @property
    def backlog(self) -> int:
        return len(self._link.outbox)

    def drop(self) -> None:
        """Cuts the connection off without a word."""
        self._link.drop()

    def close(self) -> None:
        """Ends the connection with a close frame."""
        self._link.part(CloseReason(GOING_AWAY, "Going away"))

    def revoke(self) -> None:
        """Nothing: a stream has no session."""

    async def wait_below(self, limit: int) -> None:
        """Returns when the client has fewer frames to read than `limit`, or is gone."""
        await self._link.outbox.wait_below(limit)

    def offer(self, publication: Publication) -> None:
        wanted = self._events.get(publication.name)
        if wanted is None or publication.event in wanted:
            self._link.outbox.put(publication.enveloped if self._combined else publication.raw)

    async def run(self) -> None:
        """Serves the connection until it ends, beginning with the streams that its address names."""
        try:
            await self._link.run(self._receive, self._open)
        finally:
            for name in list(self._names):
                self._leave(name)

    def _open(self) -> None:
        if self._target.route is Route.UNROUTED and self._context.settings.unrouted == "all":
            self._context.notice(_ENDED.format("/stream" if self._combined else "/ws"))
        self._subscribe(self._target.names)

    def _receive(self, frame: str | bytes) -> None:
        if not self._allowance.spend(trio.current_time()):
            raise CloseReason(POLICY, "Too many requests")
        control = parse_control(frame.encode() if isinstance(frame, str) else frame)
        if isinstance(control, ControlError):
            self._say(error_frame(control))
        else:
            self._say(reply_frame(control.id, self._obey(control)))
            self._context.turn()

    def _say(self, frame: bytes) -> None:
        self._link.outbox.put(frame.decode())

    # -- control ------------------------------------------------------------------------------------------------------

    def _obey(self, control: Control) -> Any:
        match control.method:
            case "SUBSCRIBE":
                self._subscribe(control.params)
            case "UNSUBSCRIBE":
                for name in control.params:
                    self._leave(name)
            case "LIST_SUBSCRIPTIONS":
                return list(self._names)
            case "SET_PROPERTY":
                self._combined = control.params[1]
            case _:
                return self._combined
        return None

    def _subscribe(self, names: tuple[str, ...]) -> None:
        for name in names:
            if name in self._names or len(name) > _LONGEST_NAME:
                continue  # a name beyond all names is acknowledged, as any wrong one is, and not kept
            if len(self._names) >= MAX_STREAMS_PER_LINK:
                self._say(error_frame(ControlError(4, "Too many subscriptions")))
                raise CloseReason(POLICY, "Invalid request")
            self._names[name] = None
            if _is_listen_key(name):
                if self._serves_private():
                    self._context.private.add(name, self)
            elif self._serves(name):
                self._context.exchange.streams.subscriptions.add(name, self)
                self._context.source.listened_to(name)

    def _leave(self, name: str) -> None:
        if name in self._names:
            del self._names[name]
            self._context.private.remove(name, self)
            self._context.exchange.streams.subscriptions.remove(name, self)

    def _serves_private(self) -> bool:
        route = self._target.route
        return route is Route.PRIVATE or (route is Route.UNROUTED and self._context.settings.unrouted == "all")

    def _serves(self, name: str) -> bool:
        """Whether this route serves the stream; anywhere else it is acknowledged and silent."""
        try:
            parsed: StreamName = parse(name)
        except ValueError:
            return False
        route = self._target.route
        if route is Route.UNROUTED:
            return self._context.settings.unrouted == "all" or route_of(parsed) is Route.PUBLIC
        # `trade` is not documented; its listeners look for it on either route.
        return route_of(parsed) is route or (parsed.kind is StreamKind.TRADE and route is Route.PUBLIC)


def _is_listen_key(name: str) -> bool:
    """Stream names have an `@` or a `!`; the one that has neither is `tradingSession`."""
    return "@" not in name and not name.startswith("!") and name != "tradingSession"
