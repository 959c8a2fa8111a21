"""A stream connection: control frames in, payloads out, on one of the routes (`seeds/004`, "Live Subscribing"; protocol.md 4)."""

from __future__ import annotations

from typing import Final

import trio

from coldframe.exchange.context import Context
from coldframe.exchange.endpoints.connection_life import CloseFrame
from coldframe.exchange.endpoints.stream_session import StreamReply, StreamSession
from coldframe.exchange.faults import ConnectionKind
from coldframe.exchange.market.subscriptions import Publication
from coldframe.exchange_server.links.socket import ServerSocket
from coldframe.exchange_server.links.websocket import SocketLink
from coldframe.wire.routes import Route, StreamTarget

#: "Important WebSocket Change Notice" of 2026-03-06 (protocol.md 2).
_ENDED: Final = (
    "a client opened {}: the exchange ended stream paths without a route on 2026-04-23; use /public, /market and /private there"
    ' (venue.embedded.unrouted = "public" answers here as it did before that day)'
)


class StreamLink:
    """One stream connection. As a listener of streams it takes publications and never waits."""

    def __init__(self, socket: ServerSocket, target: StreamTarget, context: Context) -> None:
        self._link = SocketLink(socket, context.settings, context.now_ms)
        self._context = context
        self._target = target
        self._session = StreamSession(target, trio.current_time(), all_unrouted=context.settings.unrouted == "all")

    @property
    def carries(self) -> ConnectionKind:
        return ConnectionKind.PRIVATE if self._session.private else ConnectionKind.MARKET

    @property
    def backlog(self) -> int:
        return len(self._link.outbox)

    def drop(self) -> None:
        """Cuts the connection off without a word."""
        self._link.drop()

    def close(self, frame: CloseFrame) -> None:
        """Ends the connection with a close frame."""
        self._link.part(frame)

    def revoke(self) -> None:
        """Nothing: a stream has no session."""

    async def wait_below(self, limit: int) -> None:
        """Returns when the client has fewer frames to read than `limit`, or is gone."""
        await self._link.outbox.wait_below(limit)

    def offer(self, publication: Publication) -> None:
        frame = self._session.frame_of(publication)
        if frame is not None:
            self._link.outbox.put(frame)

    async def run(self) -> None:
        """Serves the connection until it ends, beginning with the streams that its address names."""
        try:
            await self._link.run(self._receive, self._open)
        finally:
            self._context.follow(self, self._session.end())

    def _open(self) -> None:
        if self._target.route is Route.UNROUTED and self._context.settings.unrouted == "all":
            self._context.notice(_ENDED.format("/stream" if self._target.combined else "/ws"))
        self._carry_out(self._session.begin())

    def _receive(self, frame: str | bytes) -> None:
        self._carry_out(self._session.receive(frame.encode() if isinstance(frame, str) else frame, trio.current_time()))
        self._context.turn()

    def _carry_out(self, reply: StreamReply) -> None:
        self._context.follow(self, reply)
        for frame in reply.frames:
            self._link.outbox.put(frame.decode())
        if reply.close is not None:
            self._link.part(reply.close)
