"""The order of decisions about a request, as a trace: waits, whether it is carried out, what is said, and when its events leave."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import attrs
import pytest

from coldframe.exchange.context import Context
from coldframe.exchange.endpoints.rest import RestAnswer, RestRequest
from coldframe.exchange.endpoints.session import ApiSession
from coldframe.exchange.faults import NO_FAULT, FaultDecision, ResponseMode
from coldframe.exchange.refusals import refuse
from coldframe.exchange.request_handling import (
    BOOK_WAIT_MS,
    ApiRequests,
    CutOff,
    HandlingStep,
    NoAnswer,
    RestRequests,
    SendAnswer,
    Wait,
    WaitForBook,
)
from coldframe.wire.api import ApiRequest
from tests.simulation.clients import Clients

DEPTH = b'{"id":"7","method":"depth","params":{"symbol":"BTCUSDT"}}'
PRICE = b'{"id":"7","method":"ticker.price","params":{"symbol":"BTCUSDT"}}'
REFUSED = FaultDecision(instead=refuse(-2013), status=400)


class Traced(Context):
    """The venue of a connection, whose private events leave into a trace."""

    trace: list[str]

    def turn(self) -> int:
        return self.now_ms()

    def deliver(self) -> None:
        self.trace.append("events leave")


class World:
    """An exchange, and what its handlers do, in order."""

    def __init__(self, *, book: bool = True) -> None:
        venue = Clients().venue
        venue.source.markets["BTCUSDT"].public_data.book.known = book
        self.trace: list[str] = []
        self.context = Traced(venue.context.settings, venue.exchange, venue.source, venue.now_ms, venue.faults)
        self.context.trace = self.trace

    def of_api(self, decision: FaultDecision, frame: bytes = PRICE) -> list[str]:
        session = ApiSession(self.context.exchange, self.context.now_ms(), shows_limits=False)
        return self.walked(Api(self.context, session, decision, self.trace).handle(frame))

    def of_rest(self, decision: FaultDecision, path: str = "/fapi/v1/time") -> list[str]:
        request = RestRequest("GET", path, b"symbol=BTCUSDT", {}, b"")
        return self.walked(Rest(self.context, decision, self.trace).handle(request))

    def walked(self, steps: Iterator[HandlingStep[Any]]) -> list[str]:
        for step in steps:
            self.trace.append(shown(step))
        return self.trace


class Api(ApiRequests):
    def __init__(self, context: Context, session: ApiSession, decision: FaultDecision, trace: list[str]) -> None:
        super().__init__(context, session)
        self._decision, self._trace = decision, trace

    def decide(self, asked: ApiRequest) -> FaultDecision:
        return self._decision

    def perform(self, asked: ApiRequest | None, frame: bytes) -> bytes:
        self._trace.append("carried out")
        return super().perform(asked, frame)


class Rest(RestRequests):
    def __init__(self, context: Context, decision: FaultDecision, trace: list[str]) -> None:
        super().__init__(context)
        self._decision, self._trace = decision, trace

    def decide(self, call: str, params: Mapping[str, object]) -> FaultDecision:
        return self._decision

    def answer(self, request: RestRequest) -> RestAnswer:
        self._trace.append("carried out")
        return super().answer(request)


def shown(step: HandlingStep[Any]) -> str:
    match step:
        case Wait(ms):
            return f"wait {ms}"
        case WaitForBook(symbol, at_most_ms):
            return f"wait for {symbol} or {at_most_ms}"
        case SendAnswer(RestAnswer(status, _, body)):
            return f"reply {status} {json.loads(body).get('code', 'truth')}"
        case SendAnswer(body):
            answer = json.loads(body)
            return f"reply {answer['status']} {answer.get('error', {}).get('code', 'truth')}"
        case CutOff():
            return "cut"
        case NoAnswer():
            return "silence"


def test_a_request_without_a_fault_is_answered_at_once() -> None:
    assert World().of_api(NO_FAULT) == ["carried out", "reply 200 truth", "events leave"]
    assert World().of_rest(NO_FAULT) == ["carried out", "events leave", "reply 200 truth"]


def test_a_frame_that_cannot_be_read_meets_no_fault() -> None:
    assert World().of_api(REFUSED, b"{") == ["carried out", "reply 400 -1000", "events leave"]


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_fault_in_full_on_the_websocket_api(carried_out: bool) -> None:
    decision = attrs.evolve(REFUSED, wait_ms=30, hold_ms=70, carried_out=carried_out)
    done = ["carried out"] if carried_out else []
    assert World().of_api(decision) == ["wait 30", *done, "wait 70", "reply 400 -2013", "events leave"]


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_fault_in_full_on_rest(carried_out: bool) -> None:
    decision = attrs.evolve(REFUSED, wait_ms=30, hold_ms=70, carried_out=carried_out)
    done = ["carried out", "events leave"] if carried_out else []
    assert World().of_rest(decision) == ["wait 30", *done, "wait 70", "reply 400 -2013"]


@pytest.mark.parametrize(("ending", "said"), [(ResponseMode.CUT, "cut"), (ResponseMode.SILENT, "silence")])
def test_an_ending_without_an_answer(ending: ResponseMode, said: str) -> None:
    decision = FaultDecision(ending=ending, hold_ms=5)
    assert World().of_api(decision) == ["carried out", "wait 5", said, "events leave"]
    assert World().of_rest(decision) == ["carried out", "events leave", "wait 5", said]


@pytest.mark.parametrize("known", [True, False])
def test_a_call_waits_for_its_book_behind_the_delay(known: bool) -> None:
    waits = [] if known else [f"wait for BTCUSDT or {BOOK_WAIT_MS}"]
    delayed = FaultDecision(wait_ms=30)
    assert World(book=known).of_api(delayed, DEPTH)[:-3] == ["wait 30", *waits]
    assert World(book=known).of_api(delayed, PRICE)[:-3] == ["wait 30"]
    assert World(book=known).of_rest(delayed, "/fapi/v1/depth")[:-3] == ["wait 30", *waits]
    assert World(book=known).of_rest(delayed, "/fapi/v1/time")[:-3] == ["wait 30"]


def test_a_call_for_an_unlisted_symbol_waits_for_no_book() -> None:
    unlisted = DEPTH.replace(b"BTCUSDT", b"NONEUSDT")
    assert World(book=False).of_api(NO_FAULT, unlisted) == ["carried out", "reply 400 -1121", "events leave"]


def test_each_request_ends_once() -> None:
    for wait_ms, hold_ms, carried_out, ending in product((0, 1), (0, 1), (True, False), ResponseMode):
        decision = attrs.evolve(REFUSED, wait_ms=wait_ms, hold_ms=hold_ms, carried_out=carried_out, ending=ending)
        for trace in (World().of_api(decision), World().of_rest(decision)):
            assert sum(line.startswith(("reply", "cut", "silence")) for line in trace) == 1
            assert trace.count("carried out") == carried_out
            assert sum(line.startswith("wait") for line in trace) == wait_ms + hold_ms
