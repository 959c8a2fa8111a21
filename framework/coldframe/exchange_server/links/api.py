"""A connection of the WebSocket API: requests in, answers out, each under its own id, unless a fault is meant to happen."""

from __future__ import annotations

from functools import partial
from typing import assert_never

import trio

from coldframe.errors import DecodeError
from coldframe.exchange.context import Context
from coldframe.exchange.endpoints.session import ApiSession, say_instead
from coldframe.exchange.faults import NO_FAULT, ConnectionKind, FaultDecision, ResponseMode
from coldframe.exchange_server.links.book_waits import BookWaits
from coldframe.exchange_server.links.socket import CloseReason, ServerSocket
from coldframe.exchange_server.links.websocket import GOING_AWAY, SocketLink
from coldframe.wire.api import ApiId, parse_request


class ApiLink:
    """One connection of the WebSocket API."""

    def __init__(self, socket: ServerSocket, context: Context, books: BookWaits, *, shows_limits: bool) -> None:
        self._link = SocketLink(socket, context.settings, context.now_ms)
        self._context, self._books = context, books
        self._session = ApiSession(context.exchange, context.now_ms(), shows_limits=shows_limits)

    async def run(self) -> None:
        """Serves the connection until it ends."""
        await self._link.run(self._receive)

    @property
    def carries(self) -> ConnectionKind:
        return ConnectionKind.API

    def drop(self) -> None:
        """Cuts the connection off without a word."""
        self._link.drop()

    def close(self) -> None:
        """Ends the connection with a close frame."""
        self._link.part(CloseReason(GOING_AWAY, "Going away"))

    def revoke(self) -> None:
        """Logs the connection off; it learns so with its next request."""
        self._session.revoke()

    def _receive(self, frame: str | bytes) -> None:
        body = frame.encode() if isinstance(frame, str) else frame
        try:
            request = parse_request(body)
        except DecodeError:
            self._say(self._carry_out(body))
            return
        symbol = self._session.wants_book(body)
        decision = self._context.decide(request.method, request.params)
        if symbol or decision is not NO_FAULT:
            # Others must not wait for what this request may have to wait for.
            self._link.also(partial(self._follow, body, request.id, symbol, decision))
        else:
            self._say(self._carry_out(body))

    async def _follow(self, body: bytes, request_id: ApiId, symbol: str | None, decision: FaultDecision) -> None:
        """Carries out a request that a fault meets, or that has to wait for a book."""
        await trio.sleep(decision.wait_ms / 1000)
        if symbol:
            await self._books.wait(symbol)
        answer = self._carry_out(body) if decision.carried_out else b""
        self._context.deliver()
        if decision.instead is not None:
            answer = say_instead(request_id, decision.status, decision.instead)
        await trio.sleep(decision.hold_ms / 1000)
        match decision.ending:
            case ResponseMode.ANSWERED:
                self._say(answer)
            case ResponseMode.CUT:
                self.drop()
            case ResponseMode.SILENT:
                pass  # the requester waits in vain
            case unknown:
                assert_never(unknown)

    def _carry_out(self, body: bytes) -> bytes:
        return self._session.answer(body, self._context.turn())

    def _say(self, answer: bytes) -> None:
        self._link.outbox.put(answer.decode())
        self._context.deliver()
