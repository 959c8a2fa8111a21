"""The signed session alone: opened, logged on, answers by id in any order, deadlines, bans, revoked keys, rotation."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.connectivity.api_session import (
    Answered,
    ApiFrame,
    Session,
    SessionDown,
    SessionEvent,
    SessionLimits,
    SessionReady,
    SessionState,
    Unanswered,
)
from coldframe.core.connectivity.rate_limits import Priority
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.connectivity.unreadable import BAD_FRAMES_PER_MINUTE, TOO_MANY
from coldframe.model.effects import AppendJournal, CloseLink, Fail, LinkKind, Log, OpenLink, SendRequest, WakeAt
from coldframe.model.engine_events import ClockDoubted
from coldframe.model.inputs import LinkLost, LinkOpened, RequestNotWritten, TimeReached
from coldframe.model.journal import RowKind
from coldframe.units import NS_PER_MS
from tests.core.made import START_NS

#: Links are rotated after ten minutes here.
ROTATE_MS = 600_000
LOGGED_ON = {"apiKey": "k", "authorizedSince": 1, "connectedSince": 1, "returnRateLimits": False, "serverTime": 1}


class Line:
    """A session, and the other end of its link."""

    def __init__(self, *, can_log_on: bool = True, limits: SessionLimits | None = None) -> None:
        self.ctx = StepContext(lambda: 0.5, now_ns=START_NS)
        self.session = Session(self.ctx, can_log_on, limits or SessionLimits(rotate_after_ms=ROTATE_MS))
        self.timers: dict[str, int] = {}
        self.requests: list[SendRequest] = []
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.failed: list[Fail] = []
        self.records: list[AppendJournal] = []
        self.log: list[str] = []
        self.events: list[SessionEvent] = []

    def did(self, events: list[SessionEvent] | None = None) -> list[SessionEvent]:
        """Takes away what the session brought."""
        for effect in self.ctx.take_effects():
            match effect:
                case WakeAt(key, at_ns):
                    self.timers[key] = at_ns
                case SendRequest():
                    self.requests.append(effect)
                case OpenLink(link, kind, _):
                    assert kind is LinkKind.API
                    self.opened.append(link)
                case CloseLink(link):
                    self.closed.append(link)
                case Fail():
                    self.failed.append(effect)
                case Log(_, text):
                    self.log.append(text)
                case AppendJournal():
                    self.records.append(effect)
                case _:
                    raise AssertionError(effect)
        self.events += events or []
        return events or []

    def start(self) -> Line:
        self.session.start()
        self.did()
        return self

    def open(self) -> list[SessionEvent]:
        return self.did(self.session.step(LinkOpened(self.opened[-1])))

    def ready(self) -> Line:
        self.start().open()
        if self.requests:
            self.answer(self.requests[-1], LOGGED_ON)
        assert self.session.ready
        self.events.clear()
        return self

    def ask(self, purpose: object, method: str = "order.status") -> SendRequest:
        self.session.request(method, {}, purpose)
        self.did()
        return self.requests[-1]

    def hear(self, body: dict[str, Any], link: str | None = None) -> list[SessionEvent]:
        return self.did(self.session.step(ApiFrame(link or self.opened[-1], json.dumps(body).encode())))

    def answer(self, request: SendRequest, result: object) -> list[SessionEvent]:
        return self.hear({"id": request.request_id, "status": 200, "result": result}, request.link)

    def refuse(self, request: SendRequest, code: int, msg: str = "no", status: int = 400) -> list[SessionEvent]:
        return self.hear({"id": request.request_id, "status": status, "error": {"code": code, "msg": msg}}, request.link)

    def run(self, ms: int) -> list[SessionEvent]:
        end_ns, events = self.ctx.now_ns + ms * NS_PER_MS, []
        while self.timers and min(self.timers.values()) <= end_ns:
            key = min(self.timers, key=lambda timer: self.timers[timer])
            self.ctx.now_ns = max(self.ctx.now_ns, self.timers.pop(key))
            events += self.did(self.session.step(TimeReached(key)))
        self.ctx.now_ns = end_ns
        return events


# -- opening ----------------------------------------------------------------------------------------------------------


def test_it_opens_logs_on_and_is_ready() -> None:
    line = Line().start()
    line.session.start()
    assert line.did() == []
    assert line.opened == ["api.1"]
    assert line.open() == []
    assert line.session.state is SessionState.LOGGING_ON
    (logon,) = line.requests
    assert (logon.method, logon.params) == ("session.logon", {})
    assert line.answer(logon, LOGGED_ON) == [SessionReady()]
    assert line.session.ready


def test_the_handshake_and_the_log_on_are_paid_for() -> None:
    line = Line().ready()
    assert line.ctx.rate_limits.weight.used(line.ctx.venue_ms) == 5 + 2
    assert Line(can_log_on=False).ready().ctx.rate_limits.weight.used(line.ctx.venue_ms) == 5


def test_without_room_in_the_limits_it_waits() -> None:
    line = Line()
    line.ctx.rate_limits.ban(line.ctx.venue_ms + 10_000)
    line.start()
    assert line.opened == []
    line.run(9_999)
    assert line.opened == []
    line.run(1)
    assert line.opened == ["api.1"]


def test_a_key_that_cannot_log_on_is_ready_at_once() -> None:
    line = Line(can_log_on=False).start()
    assert line.open() == [SessionReady()]
    assert line.requests == []


@pytest.mark.parametrize("code", [-2014, -2015, -1022, -4056, -1102])
def test_a_key_that_is_refused_at_the_first_log_on_ends_the_run(code: int) -> None:
    line = Line().start()
    line.open()
    line.refuse(line.requests[0], code, "Invalid API-key.", 401)
    (failed,) = line.failed
    assert failed.kind == "AuthenticationRefused"
    assert str(code) in failed.text
    assert "\n" not in failed.text


@pytest.mark.parametrize("code", [-1021, -1003, -1007, -1000])
def test_another_trouble_at_the_log_on_is_tried_again(code: int) -> None:
    line = Line().start()
    line.open()
    line.refuse(line.requests[0], code)
    assert line.failed == []
    assert line.closed == ["api.1"]
    assert (ClockDoubted() in line.ctx.events) is (code == -1021)
    line.run(61_000)
    assert line.opened[1:] == ["api.2"]


def test_key_refused_after_it_worked_does_not_end_the_run() -> None:
    line = Line().ready()
    line.did(line.session.step(LinkLost("api.1", "gone")))
    line.run(1_000)
    line.open()
    line.refuse(line.requests[-1], -2015, status=401)
    assert line.failed == []
    line.run(2_000)
    assert len(line.opened) == 3


def test_a_log_on_without_an_answer_is_given_up() -> None:
    line = Line().start()
    line.open()
    line.run(10_300)
    assert line.closed == ["api.1"]
    line.run(1_000)
    assert line.opened[1:] == ["api.2"]


def test_o33_after_every_reconnect_it_logs_on_again() -> None:
    """O33."""
    line = Line().ready()
    assert line.did(line.session.step(LinkLost("api.1", "reset"))) == [SessionDown("reset")]
    assert not line.session.ready
    line.run(1_000)
    assert line.open() == []
    assert not line.session.ready
    assert line.answer(line.requests[-1], LOGGED_ON) == [SessionReady()]
    assert line.session.reconnects == 1


def test_a_link_that_does_not_open_is_tried_ever_more_seldom() -> None:
    line, times = Line().start(), []
    for _ in range(9):
        line.did(line.session.step(LinkLost(line.opened[-1], "refused")))
        before = len(line.opened)
        while len(line.opened) == before:
            line.run(50)
        times.append(line.ctx.now_ns)
    gaps = [(later - earlier) // NS_PER_MS for earlier, later in pairwise(times)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= 29_000
    assert line.session.reconnects == 0


def test_a_ban_holds_the_link_down() -> None:
    line = Line().ready()
    line.did(line.session.step(LinkLost("api.1", "418", banned_until_ms=line.ctx.venue_ms + 120_000)))
    line.run(119_999)
    assert len(line.opened) == 1
    line.run(1)
    assert len(line.opened) == 2


# -- answers ----------------------------------------------------------------------------------------------------------


@given(st.permutations(range(8)))
def test_w17_answers_are_matched_by_id_alone(order: list[int]) -> None:
    """W17."""
    line = Line().ready()
    requests = [line.ask(f"purpose {number}") for number in range(8)]
    for number in order:
        (event,) = line.answer(requests[number], {"n": number})
        assert event == Answered(f"purpose {number}", 200, b'{"n": %d}' % number, None)


def test_w16_an_unexpected_answer_changes_nothing() -> None:
    """W16: unknown and repeated ids."""
    line = Line().ready()
    request = line.ask("once")
    assert len(line.answer(request, {})) == 1
    assert line.answer(request, {}) == []
    for unknown in (999, "abc", -1, 0):
        assert line.hear({"id": unknown, "status": 200, "result": {}}) == []


@pytest.mark.parametrize(
    "frame", [b"", b"{", b"[]", b"null", b'{"id":1}', b'{"id":1,"status":200}', b"\xff", b'{"id":{},"status":1}']
)
def test_an_unreadable_frame_is_said_and_does_no_harm(frame: bytes) -> None:
    line = Line().ready()
    assert line.did(line.session.step(ApiFrame("api.1", frame))) == []
    assert "unreadable" in line.log[-1]
    assert line.session.ready


def test_an_order_link_that_brings_only_rubbish_is_opened_anew() -> None:
    line = Line().ready()
    line.ask("waits")
    for _ in range(BAD_FRAMES_PER_MINUTE):
        assert line.did(line.session.step(ApiFrame("api.1", b"rubbish"))) == []
    assert line.closed == []
    lost, down = line.did(line.session.step(ApiFrame("api.1", b"rubbish")))
    assert (line.closed, lost, down) == (["api.1"], Unanswered("waits", TOO_MANY), SessionDown(TOO_MANY))
    assert not line.session.owns("api.1")
    line.run(3_000)
    assert line.opened == ["api.1", "api.2"]


def test_now_and_then_a_bad_frame_does_not_cost_the_order_link() -> None:
    line = Line(limits=SessionLimits()).ready()
    for _ in range(3 * BAD_FRAMES_PER_MINUTE):
        line.did(line.session.step(ApiFrame("api.1", b"rubbish")))
        line.run(3_001)
    assert line.closed == []
    assert line.session.ready


def test_w18_late_answer_after_a_timeout_still_counts() -> None:
    """W18 and W19."""
    line = Line().ready()
    request = line.ask("slow")
    assert line.run(1_900) == []
    assert line.run(400) == [Unanswered("slow", "no answer within 2000 ms")]
    assert line.answer(request, {}) == [Answered("slow", 200, b"{}", None)]
    assert line.answer(request, {}) == []


def test_what_waited_on_a_lost_link_is_unanswered() -> None:
    line = Line().ready()
    line.ask("one")
    line.ask("two")
    events = line.did(line.session.step(LinkLost("api.1", "reset")))
    assert events == [Unanswered("one", "reset"), Unanswered("two", "reset"), SessionDown("reset")]


def test_unwritten_request_is_reported_even_after_its_timeout() -> None:
    line = Line().ready()
    first, second = line.ask("first"), line.ask("second")
    assert line.did(line.session.step(RequestNotWritten("api.1", first.request_id, "full"))) == [
        Unanswered("first", "full", written=False)
    ]
    line.run(3_000)
    assert line.session.purpose_of(second.request_id) == "second"
    assert line.did(line.session.step(RequestNotWritten("api.1", second.request_id, "full"))) == [
        Unanswered("second", "full", written=False)
    ]
    assert line.did(line.session.step(RequestNotWritten("api.1", second.request_id, "full"))) == []
    assert line.did(line.session.step(RequestNotWritten("api.1", 12345, "full"))) == []


def test_the_memory_of_overdue_requests_is_bounded() -> None:
    line = Line().ready()
    requests = [line.ask(number) for number in range(1_200)]
    assert len(line.run(3_000)) == 1_200
    assert line.session.purpose_of(requests[0].request_id) is None
    assert line.session.purpose_of(requests[-1].request_id) == 1_199


# -- what errors say beyond their request -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "msg", "ban_ms"),
    [
        (-1003, 418, "Way too many requests; IP(1.2.3.4) banned until 1700000199000.", 1_700_000_199_000),
        (-1003, 429, "Too many requests; current limit is 2400 requests per minute.", 60_000),
        (-1003, 400, "Too many requests", 60_000),
        (-1003, 418, "banned until ²³¹²³¹²³¹²³¹²³", 120_000),
        (-1015, 400, "Too many new orders.", None),
        (-2010, 400, "no", None),
    ],
)
def test_r1_a_ban_is_heeded(code: int, status: int, msg: str, ban_ms: int | None) -> None:
    line = Line().ready()
    line.refuse(line.ask("x"), code, msg, status)
    until = line.ctx.rate_limits.banned_until_ms
    wanted = 0 if ban_ms is None else ban_ms if ban_ms > 10**12 else line.ctx.venue_ms + ban_ms
    assert until == wanted
    assert (line.session.cost_fits("order.cancel", {}, Priority.NEEDED) == 0) is (ban_ms is None)


@pytest.mark.parametrize(("code", "suspect"), [(-1021, True), (-5028, True), (-2010, False), (-1007, False)])
def test_an_error_that_doubts_our_clock_is_noticed(code: int, suspect: bool) -> None:
    line = Line().ready()
    line.refuse(line.ask("x"), code)
    assert (ClockDoubted() in line.ctx.events) is suspect


def test_the_servers_counts_are_adopted() -> None:
    line = Line().ready()
    request = line.ask("x")
    limits = [{"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300, "count": 77}]
    line.hear({"id": request.request_id, "status": 200, "result": {}, "rateLimits": limits})
    assert line.ctx.rate_limits.orders_10s.used(line.ctx.venue_ms) == 77


def test_o32_a_revoked_session_is_left_and_tried_again() -> None:
    """O32: id null, status 401."""
    line = Line().ready()
    line.ask("order")
    events = line.hear({"id": None, "status": 401, "error": {"code": -2015, "msg": "Invalid API-key"}})
    assert events == [Unanswered("order", "session revoked"), SessionDown("session revoked")]
    assert line.session.state is SessionState.REVOKED
    assert line.closed == ["api.1"]
    assert "revoked" in "\n".join(line.log)
    line.run(1_000)
    line.open()
    assert line.answer(line.requests[-1], LOGGED_ON) == [SessionReady()]


def test_another_answer_without_an_id_is_only_said() -> None:
    line = Line().ready()
    assert line.hear({"id": None, "status": 400, "error": {"code": -1000, "msg": "what?"}}) == []
    assert line.session.ready


# -- rotation ---------------------------------------------------------------------------------------------------------


def rotating() -> Line:
    """A session whose successor is logged on."""
    line = Line().ready()
    line.run(ROTATE_MS + 500)
    assert line.opened == ["api.1", "api.2"]
    line.open()
    return line


def test_it_is_rotated_before_its_planned_end_without_being_down() -> None:
    line = rotating()
    assert line.session.ready
    waiting = line.ask("on the old link")
    assert waiting.link == "api.1"
    assert line.answer(line.requests[-2], LOGGED_ON) == []
    assert line.ask("on the new one").link == "api.2"
    assert line.answer(waiting, {}) == [Answered("on the old link", 200, b"{}", None)]
    line.run(500)
    assert line.closed == ["api.1"]
    assert line.session.ready
    assert line.session.reconnects == 0


def test_the_old_link_is_closed_even_if_an_answer_is_wanting() -> None:
    line = rotating()
    line.ask("never answered")
    line.answer(line.requests[-2], LOGGED_ON)
    assert line.run(2_500) == [Unanswered("never answered", "no answer within 2000 ms")]
    line.run(10_500)
    assert line.closed == ["api.1"]


def test_a_successor_that_fails_leaves_the_current_link_alone() -> None:
    line = Line().ready()
    line.run(ROTATE_MS + 500)
    assert line.did(line.session.step(LinkLost("api.2", "refused"))) == []
    assert line.session.ready
    line.run(59_000)
    assert len(line.opened) == 2
    line.run(2_000)
    assert len(line.opened) == 3


def test_the_current_link_may_fall_while_its_successor_logs_on() -> None:
    line = rotating()
    assert line.did(line.session.step(LinkLost("api.1", "24 hours"))) == [SessionDown("24 hours")]
    assert line.answer(line.requests[-1], LOGGED_ON) == [SessionReady()]
    assert line.session.ready
    assert line.ask("x").link == "api.2"


def test_key_revoked_on_a_retired_link_leaves_the_current_link() -> None:
    line = rotating()
    line.answer(line.requests[-1], LOGGED_ON)
    line.hear({"id": None, "status": 401, "error": {"code": -2015, "msg": "x"}}, "api.1")
    assert line.session.ready


def test_an_announced_shutdown_rotates_at_once() -> None:
    line = Line().ready()
    line.did(line.session.step(ApiFrame("api.1", b'{"event":{"e":"serverShutdown","E":1700000000000}}')))
    assert line.opened == ["api.1", "api.2"]
    assert line.session.ready


# -- what the journal keeps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "kept"),
    [("order.place", True), ("algoOrder.cancel", True), ("userDataStream.start", False), ("session.logon", False)],
)
def test_x4_only_requests_about_orders_are_journaled(method: str, kept: bool) -> None:
    line = Line().ready()
    line.records.clear()
    request = line.ask("it", method)
    wanted = [(RowKind.REQUEST, str(request.request_id), {"link": "api.1", "method": method, "params": {}})]
    assert [(row.kind, row.ref, row.body) for row in line.records] == (wanted if kept else [])


@pytest.mark.parametrize(
    ("result", "kept"),
    [({"orderId": 7}, {"status": 200, "result": '{"orderId": 7}'}), ({"listenKey": "secret"}, {"status": 200})],
)
def test_x4_an_answer_is_journaled_but_never_a_listen_key(result: dict[str, Any], kept: dict[str, Any]) -> None:
    line = Line().ready()
    request = line.ask("it")
    line.records.clear()
    assert len(line.answer(request, result)) == 1
    assert [(row.kind, row.ref, row.body) for row in line.records] == [(RowKind.ANSWER, str(request.request_id), kept)]


def test_a_refusal_is_journaled_with_its_code_and_text() -> None:
    line = Line().ready()
    request = line.ask("it")
    line.records.clear()
    line.refuse(request, -2013, "Order does not exist.")
    assert [row.body for row in line.records] == [{"status": 400, "code": -2013, "msg": "Order does not exist."}]


@pytest.mark.parametrize(("early_ns", "unanswered"), [(1, 0), (0, 1), (-1, 1)])
def test_a_request_is_overdue_exactly_at_its_deadline(early_ns: int, unanswered: int) -> None:
    line = Line().ready()
    line.ask("it")
    line.ctx.now_ns += SessionLimits().answer_ms * NS_PER_MS - early_ns
    assert line.did(line.session.step(TimeReached("session:check"))) == [Unanswered("it", "no answer within 2000 ms")] * unanswered
