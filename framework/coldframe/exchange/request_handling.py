"""What becomes of one request, step by step: waits, the answer that was carried out or one in its place, and how it ends.

The order of these decisions stands here and nowhere else: what wants a connection to be served takes the steps from `handle`, and
does what each says before it asks for the next. Sockets do so in `coldframe.exchange_server.links`, virtual time in
`coldframe.runtime.virtual_venue`. A connection that is gone takes no further step: what has not been carried out by then never is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, TypeVar, assert_never

import attrs

from coldframe.errors import DecodeError
from coldframe.exchange.context import Context
from coldframe.exchange.endpoints.rest import Rest, RestAnswer, RestRequest, injected
from coldframe.exchange.endpoints.session import ApiSession, say_instead
from coldframe.exchange.faults import FaultDecision, ResponseMode
from coldframe.wire.api import ApiRequest, parse_request

A = TypeVar("A", bytes, RestAnswer)

#: How long a call waits for a book that the market has not shown yet (milliseconds).
BOOK_WAIT_MS: Final = 10_000
_NOT_CARRIED_OUT: Final = RestAnswer(200, (), b"")


@attrs.frozen
class Wait:
    """So many milliseconds pass."""

    ms: int


@attrs.frozen
class WaitForBook:
    """The book of a symbol becomes complete, or so many milliseconds pass."""

    symbol: str
    at_most_ms: int


@attrs.frozen
class SendAnswer(Generic[A]):
    """The client gets this answer."""

    answer: A


@attrs.frozen
class CutOff:
    """The connection is cut off without an answer and without a close frame."""


@attrs.frozen
class NoAnswer:
    """The client waits in vain."""


#: What is to be done before the next step is asked for. Each request has exactly one of the last three.
HandlingStep = Wait | WaitForBook | SendAnswer[A] | CutOff | NoAnswer


class ApiRequests:
    """The requests of one connection of the WebSocket API."""

    def __init__(self, context: Context, session: ApiSession) -> None:
        self._context, self._session = context, session

    def handle(self, frame: bytes) -> Iterator[HandlingStep[bytes]]:
        """Takes the steps of one frame. Private events that it brings about leave behind its answer, or with an earlier turn."""
        try:
            asked = parse_request(frame)
        except DecodeError:
            yield SendAnswer(self.perform(None, frame))
        else:
            decision = self.decide(asked)
            yield from _before(self._context, decision, self._session.wants_book(frame))
            answer = self.perform(asked, frame) if decision.carried_out else b""
            if decision.instead is not None:
                answer = say_instead(asked.id, decision.status, decision.instead)
            yield from _after(decision, answer)
        self._context.deliver()

    def decide(self, asked: ApiRequest) -> FaultDecision:
        """What the fault plan makes of a request."""
        return self._context.decide(asked.method, asked.params)

    def perform(self, asked: ApiRequest | None, frame: bytes) -> bytes:
        """Carries a frame out now (`asked` is None for one that cannot be read). Gives its answer."""
        return self._session.answer(frame, self._context.turn())


class RestRequests:
    """The requests of the REST connections."""

    def __init__(self, context: Context) -> None:
        self._context, self._rest = context, Rest(context.exchange)

    def handle(self, request: RestRequest) -> Iterator[HandlingStep[RestAnswer]]:
        """Takes the steps of one request."""
        decision = self.decide(request.call, request.params)
        yield from _before(self._context, decision, self._rest.wants_book(request))
        answer = self.answer(request) if decision.carried_out else _NOT_CARRIED_OUT
        yield from _after(decision, injected(answer, decision))

    def decide(self, call: str, params: Mapping[str, Any]) -> FaultDecision:
        """What the fault plan makes of a request."""
        return self._context.decide(call, params)

    def answer(self, request: RestRequest) -> RestAnswer:
        """Carries a request out now, hands out the private events that it brings about, and gives its answer."""
        now_ms = self._context.turn()
        answer = self._rest.answer(request, now_ms)
        self._context.deliver()
        return attrs.evolve(answer, body=self._context.faults.listed(request.call, answer.body, now_ms))


def _before(context: Context, decision: FaultDecision, symbol: str | None) -> Iterator[Wait | WaitForBook]:
    """What a request waits for before it is carried out: the fault's time first, then the book that it asks for."""
    if decision.wait_ms:
        yield Wait(decision.wait_ms)
    market = context.source.markets.get(symbol or "")
    if symbol and market is not None and not market.public_data.book.known:
        yield WaitForBook(symbol, BOOK_WAIT_MS)


def _after(decision: FaultDecision, answer: A) -> Iterator[Wait | SendAnswer[A] | CutOff | NoAnswer]:
    """How a request ends that has been carried out, or has not."""
    if decision.hold_ms:
        yield Wait(decision.hold_ms)
    match decision.ending:
        case ResponseMode.ANSWERED:
            yield SendAnswer(answer)
        case ResponseMode.CUT:
            yield CutOff()
        case ResponseMode.SILENT:
            yield NoAnswer()
        case unknown:
            assert_never(unknown)
