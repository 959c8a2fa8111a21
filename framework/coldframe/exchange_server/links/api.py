"""A connection of the WebSocket API: requests in, answers out, each under its own id, unless a fault is meant to happen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import assert_never

from coldframe.exchange.context import Context
from coldframe.exchange.endpoints.connection_life import CloseFrame
from coldframe.exchange.endpoints.session import ApiSession
from coldframe.exchange.faults import ConnectionKind
from coldframe.exchange.request_handling import ApiRequests, CutOff, HandlingStep, NoAnswer, SendAnswer, Wait, WaitForBook
from coldframe.exchange_server.links.book_waits import BookWaits
from coldframe.exchange_server.links.websocket import SocketLink


class ApiLink:
    """One connection of the WebSocket API."""

    def __init__(self, link: SocketLink, session: ApiSession, context: Context, books: BookWaits) -> None:
        self._link, self._session, self._books = link, session, books
        self._requests = ApiRequests(context, session)

    async def run(self) -> None:
        """Serves the connection until it ends."""
        await self._link.run(self._receive)

    @property
    def carries(self) -> ConnectionKind:
        return self._session.carries

    def drop(self) -> None:
        """Cuts the connection off without a word."""
        self._link.drop()

    def close(self, frame: CloseFrame) -> None:
        """Ends the connection with a close frame."""
        self._link.end_with(frame)

    def revoke(self) -> None:
        """Logs the connection off; it learns so with its next request."""
        self._session.revoke()

    def _receive(self, frame: str | bytes) -> None:
        steps = self._requests.handle(frame.encode() if isinstance(frame, str) else frame)
        for step in steps:
            if isinstance(step, Wait | WaitForBook):
                # Others must not wait for what this request has to wait for.
                self._link.start_work(partial(self._follow_steps, step, steps))
                return
            self._finish_request(step)

    async def _follow_steps(self, first: Wait | WaitForBook, steps: Iterator[HandlingStep[bytes]]) -> None:
        """Handles a request that has to wait, from its first wait on."""
        step: HandlingStep[bytes] | None = first
        while step is not None:
            if isinstance(step, Wait | WaitForBook):
                await self._books.pass_time(step)
            else:
                self._finish_request(step)
            step = next(steps, None)

    def _finish_request(self, step: SendAnswer[bytes] | CutOff | NoAnswer) -> None:
        match step:
            case SendAnswer(answer):
                self._link.outbox.put(answer.decode())
            case CutOff():
                self.drop()
            case NoAnswer():
                pass  # the requester waits in vain
            case unknown:
                assert_never(unknown)
