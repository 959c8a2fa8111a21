"""Each machine that keeps the connection to the exchange, alone, as a trace: at a moment this comes, and that goes out."""

from __future__ import annotations

import json
from functools import partial

from coldframe.core.connectivity.api_session import (
    Answered,
    ApiFrame,
    Session,
    SessionDown,
    SessionLimits,
    SessionReady,
    Unanswered,
)
from coldframe.core.connectivity.request_ways import RequestWays, as_event
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.connectivity.user_stream import (
    ReportsBegin,
    ReportsMissing,
    UserStream,
    UserStreamEvent,
    UserStreamInput,
    UserStreamLimits,
)
from coldframe.core.connectivity.venue_clock import PendingTime, VenueClock
from coldframe.model.effects import AppendJournal, CallRest, CloseLink, LinkKind, Log, OpenLink, SendRequest, ShiftClock
from coldframe.model.engine_events import ClockDoubted
from coldframe.model.inputs import LinkLost, LinkOpened, RequestNotWritten, RestAnswered, TimeReached
from coldframe.model.journal import RowKind
from coldframe.testing import Playbook
from coldframe.wire.account import ListenKeyExpired
from coldframe.wire.rest import Answer
from tests.core.made import START_MS, START_NS
from tests.core.trace import Alone, at, context, wake

MS = 1_000_000
TIME, LISTEN_KEY = "/fapi/v1/time", "/fapi/v1/listenKey"
EXCHANGE_INFO, OPEN_ORDERS = "/fapi/v1/exchangeInfo", "/fapi/v1/openOrders"


def answer(request_id: int, result: object) -> ApiFrame:
    return ApiFrame("api.1", json.dumps({"id": request_id, "status": 200, "result": result}).encode())


def body(made: object) -> Answer:
    return Answer(200, {}, json.dumps(made).encode())


def test_trace_of_the_session() -> None:
    ctx = context()
    session = Session(ctx, True, SessionLimits())
    ask = partial(session.request, "order.status", {"symbol": "BTCUSDT"})
    asked = partial(AppendJournal, RowKind.REQUEST)
    params = {"symbol": "BTCUSDT"}
    question = {"link": "api.1", "method": "order.status", "params": params}
    assert (
        Playbook(Alone(ctx, session.step), ignore=(Log,))
        >> at(0, session.start)
        << OpenLink("api.1", LinkKind.API, "")
        >> at(40, LinkOpened("api.1"))
        << wake("session:check", 10_040)
        << SendRequest("api.1", 1, "session.logon", {})
        >> at(80, answer(1, {}))
        << SessionReady()
        >> at(100, partial(ask, "first"))
        << wake("session:check", 2_290)
        << SendRequest("api.1", 2, "order.status", params)
        << asked("2", question)
        >> at(110, partial(ask, "second"))
        << SendRequest("api.1", 3, "order.status", params)
        << asked("3", question)
        >> at(120, partial(ask, "third"))
        << SendRequest("api.1", 4, "order.status", params)
        << asked("4", question)
        >> at(140, answer(2, {"orderId": 7}))
        << AppendJournal(RowKind.ANSWER, "2", {"status": 200, "result": '{"orderId": 7}'})
        << Answered("first", 200, b'{"orderId": 7}', None)
        >> at(150, RequestNotWritten("api.1", 3, "the link is full"))
        << Unanswered("second", "the link is full", written=False)
        >> at(160, LinkLost("api.1", "reset by peer"))
        << wake("session:open", 410)
        << Unanswered("third", "reset by peer")
        << SessionDown("reset by peer")
        >> at(410, TimeReached("session:open"))
        << OpenLink("api.2", LinkKind.API, "")
        # What a log-on was not written with is its link's affair: the link ends.
        >> at(450, LinkOpened("api.2"))
        << wake("session:check", 10_450)
        << SendRequest("api.2", 5, "session.logon", {})
        >> at(460, RequestNotWritten("api.2", 5, "reset by peer"))
        >> at(460, LinkLost("api.2", "reset by peer"))
        << wake("session:open", 960)
    )


class KeysByRest:
    """A user stream whose order link is down: its keys go by REST, and what comes back there is handed to it."""

    def __init__(self, limits: UserStreamLimits) -> None:
        self.ctx = context()
        self.calls = RestQueue(self.ctx)
        session = Session(self.ctx, True, SessionLimits())
        self.stream = UserStream(self.ctx, RequestWays(self.ctx, session, self.calls), limits)

    def step(self, event: UserStreamInput | RestAnswered) -> list[UserStreamEvent]:
        if isinstance(event, RestAnswered):
            return [news for returned in self.calls.step(event) for news in self.stream.step(as_event(returned))]
        return self.stream.step(event)


def test_trace_of_the_user_stream() -> None:
    made = KeysByRest(UserStreamLimits(keep_alive_ms=5_000))
    key = RestAnswered(1, body({"listenKey": "k1"}), START_NS)
    assert (
        Playbook(Alone(made.ctx, made.step, "user:check"), ignore=(Log,))
        >> at(0, SessionReady())
        << CallRest(1, "POST", LISTEN_KEY, {})
        >> at(30, key)
        << OpenLink("private.1", LinkKind.PRIVATE, "/private/ws/k1")
        >> at(60, LinkOpened("private.1"))
        << ReportsBegin()
        >> at(1_000, TimeReached("user:check"))
        >> at(5_030, TimeReached("user:check"))
        << CallRest(2, "PUT", LISTEN_KEY, {})
        >> at(5_060, RestAnswered(2, body({}), START_NS))
        >> at(7_000, LinkLost("private.1", "reset by peer"))
        << wake("user:open", 7_250)
        << ReportsMissing("reset by peer")
        >> at(7_250, TimeReached("user:open"))
        << CallRest(3, "POST", LISTEN_KEY, {})
    )


def test_trace_of_a_listen_key() -> None:
    """An expired key leaves its link open and silent: the link goes, and another key is asked for."""
    made = KeysByRest(UserStreamLimits())
    assert (
        Playbook(Alone(made.ctx, made.step, "user:check"), ignore=(Log,))
        >> at(0, SessionReady())
        << CallRest(1, "POST", LISTEN_KEY, {})
        >> at(5, RestAnswered(1, None, START_NS, "timed out"))
        << wake("user:open", 255)
        >> at(255, TimeReached("user:open"))
        << CallRest(2, "POST", LISTEN_KEY, {})
        >> at(280, RestAnswered(2, body({"listenKey": "k1"}), START_NS))
        << OpenLink("private.1", LinkKind.PRIVATE, "/private/ws/k1")
        >> at(300, LinkOpened("private.1"))
        << ReportsBegin()
        >> at(900, ListenKeyExpired(event="listenKeyExpired", event_ms=START_MS + 900))
        << CloseLink("private.1", "listen key expired")
        << CallRest(3, "POST", LISTEN_KEY, {})
        << ReportsMissing("listen key expired")
    )


def test_trace_of_the_rest_queue() -> None:
    ctx = context()
    calls = RestQueue(ctx)
    back = Answer(429, {"retry-after": "30"}, b'{"code":-1003,"msg":"Too many requests."}')
    assert (
        Playbook(Alone(ctx, calls.step), ignore=(Log,))
        >> at(0, lambda: calls.call("GET", OPEN_ORDERS, {"symbol": "BTCUSDT"}, "the list"))
        << CallRest(1, "GET", OPEN_ORDERS, {"symbol": "BTCUSDT"})
        >> at(35, RestAnswered(1, body([]), START_NS))
        << Returned("the list", body([]), "", START_NS)
        # It is answered once.
        >> at(36, RestAnswered(1, body([]), START_NS))
        >> at(50, lambda: calls.call("GET", TIME, {}, "the time"))
        << CallRest(2, "GET", TIME, {})
        >> at(60, RestAnswered(2, back, START_NS + 50 * MS))
        << Returned("the time", back, "", START_NS + 50 * MS)
        # Sent away: what is asked for now waits until it is over.
        >> at(70, lambda: calls.call("GET", EXCHANGE_INFO, {}, "the contracts"))
        << wake("rest:queue", 30_060)
        >> at(30_060, TimeReached("rest:queue"))
        << CallRest(3, "GET", EXCHANGE_INFO, {})
    )


def test_trace_of_the_clock() -> None:
    ctx = context()
    clock = VenueClock(ctx, RestQueue(ctx), None)
    told = body({"serverTime": START_MS + 1_300})
    assert (
        Playbook(Alone(ctx, clock.step), ignore=(Log,))
        >> at(0, clock.start)
        << wake("clock:quick:200", 200)
        << wake("clock:quick:1000", 1_000)
        << wake("clock:quick:3000", 3_000)
        << wake("clock:ask", 300_000)
        >> at(200, TimeReached("clock:quick:200"))
        << CallRest(1, "GET", TIME, {})
        # Half of the way there and back: it was read 250 ms after the start by our clock.
        >> at(300, Returned(PendingTime(), told, "", START_NS + 200 * MS))
        << ShiftClock(1_050)
        # A doubt is settled at the end of the step in which it came up; the question of before is still under way.
        >> at(400, ClockDoubted())
        >> at(400, clock.ask_if_doubted)
        >> at(300_000, TimeReached("clock:ask"))
        << wake("clock:ask", 600_000)
    )
