"""A connection of the WebSocket API: requests in, answers out, each under its own id."""

from __future__ import annotations

from functools import partial

from trio_websocket import WebSocketConnection

from coldframe.venue.calls.session import ApiSession
from coldframe.venue.links.context import Context
from coldframe.venue.links.websocket import SocketLink


class ApiLink:
    """One connection of the WebSocket API."""

    def __init__(self, socket: WebSocketConnection, context: Context, *, shows_limits: bool) -> None:
        self._link = SocketLink(socket, context.settings, context.now_ms)
        self._context = context
        self._session = ApiSession(context.exchange, context.now_ms(), shows_limits=shows_limits)

    async def run(self) -> None:
        """Serves the connection until it ends."""
        await self._link.run(self._receive)

    def drop(self) -> None:
        """Cuts the connection off without a word."""
        self._link.drop()

    def _receive(self, frame: str | bytes) -> None:
        body = frame.encode() if isinstance(frame, str) else frame
        symbol = self._session.wants_book(body)
        if symbol:
            # Others must not wait for a book that this request may have to wait for.
            self._link.also(partial(self._answer_later, body, symbol))
        else:
            self._answer(body)

    async def _answer_later(self, body: bytes, symbol: str) -> None:
        await self._context.wait_book(symbol)
        self._answer(body)

    def _answer(self, body: bytes) -> None:
        now_ms = self._context.turn()
        self._link.outbox.put(self._session.answer(body, now_ms).decode())
        self._context.deliver()
