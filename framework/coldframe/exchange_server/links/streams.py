"""A stream connection: control frames in, payloads out, on one of the routes (`seeds/004`, "Live Subscribing"; protocol.md 4)."""

from __future__ import annotations

import trio

from coldframe.exchange.context import Context
from coldframe.exchange.endpoints.connection_life import CloseFrame
from coldframe.exchange.endpoints.stream_session import StreamSession
from coldframe.exchange.faults import ConnectionKind
from coldframe.exchange.market.subscriptions import Publication
from coldframe.exchange_server.links.websocket import SocketLink


class StreamLink:
    """One stream connection. As a listener of streams it takes publications and never waits."""

    def __init__(self, link: SocketLink, session: StreamSession, context: Context) -> None:
        self._link, self._session, self._context = link, session, context

    @property
    def carries(self) -> ConnectionKind:
        return self._session.carries

    @property
    def backlog(self) -> int:
        return len(self._link.outbox)

    def drop(self) -> None:
        """Cuts the connection off without a word."""
        self._link.drop()

    def close(self, frame: CloseFrame) -> None:
        """Ends the connection with a close frame."""
        self._link.end_with(frame)

    def revoke(self) -> None:
        """Nothing: a stream has no session."""

    async def wait_below(self, limit: int) -> None:
        """Returns when the client has fewer frames to read than `limit`, or is gone."""
        await self._link.outbox.wait_below(limit)

    def offer(self, publication: Publication) -> None:
        frame = self._session.frame_of(publication)
        if frame is not None:
            self._link.outbox.put(frame)

    def send_frame(self, frame: bytes) -> None:
        self._link.outbox.put(frame.decode())

    async def run(self) -> None:
        """Serves the connection until it ends, beginning with the streams that its address names."""
        try:
            await self._link.run(self._receive, self._begin_streams)
        finally:
            self._context.follow(self, self._session.end())

    def _begin_streams(self) -> None:
        self._context.follow(self, self._session.begin())

    def _receive(self, frame: str | bytes) -> None:
        body = frame.encode() if isinstance(frame, str) else frame
        self._context.take_control_frame(self, self._session, body, trio.current_time())
