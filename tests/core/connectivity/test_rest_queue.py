"""REST calls: paid for before they go, matched when they come back, quiet during a ban, and the needed ones first."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from coldframe.core.connectivity.rate_limits import Priority
from coldframe.core.connectivity.rest_queue import RestQueue, Returned, clock_sample
from coldframe.core.connectivity.step_context import StepContext
from coldframe.model.effects import CallRest, Log, WakeAt
from coldframe.model.engine_events import ClockDoubted
from coldframe.model.inputs import RestAnswered, TimeReached
from coldframe.units import NS_PER_MS
from coldframe.wire.rest import Answer
from tests.core.made import START_MS, START_NS


def context() -> StepContext:
    return StepContext(lambda: 0.5, now_ns=START_NS + 1_000 * NS_PER_MS)


def effects(ctx: StepContext, kind: type[Any]) -> list[Any]:
    return [effect for effect in ctx.take_effects() if isinstance(effect, kind)]


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def test_a_call_is_numbered_paid_for_and_matched() -> None:
    ctx = context()
    calls = RestQueue(ctx)
    calls.call("GET", "/fapi/v1/openOrders", {}, "all")
    calls.call("GET", "/fapi/v1/openOrders", {"symbol": "BTCUSDT"}, "one")
    first, second = effects(ctx, CallRest)
    assert (first.path, first.params, second.params) == ("/fapi/v1/openOrders", {}, {"symbol": "BTCUSDT"})
    assert ctx.rate_limits.weight.used(ctx.venue_ms) == 41
    for number, purpose in ((second.call_id, "one"), (first.call_id, "all")):
        (back,) = calls.step(RestAnswered(number, answer(), START_NS))
        assert (back.purpose, back.reason) == (purpose, "")


def test_an_answer_to_no_pending_request_brings_nothing() -> None:
    ctx = context()
    calls = RestQueue(ctx)
    calls.call("GET", "/fapi/v1/ping", {}, "ping")
    (call,) = effects(ctx, CallRest)
    assert len(calls.step(RestAnswered(call.call_id, answer(), START_NS))) == 1
    assert calls.step(RestAnswered(call.call_id, answer(), START_NS)) == []
    assert calls.step(RestAnswered(999, answer(), START_NS)) == []


def test_a_call_without_an_answer_says_why() -> None:
    ctx = context()
    calls = RestQueue(ctx)
    calls.call("GET", "/fapi/v1/ping", {}, "ping")
    (call,) = effects(ctx, CallRest)
    (back,) = calls.step(RestAnswered(call.call_id, None, START_NS, "no route to host"))
    assert (back.answer, back.reason) == (None, "no route to host")


def test_a_call_of_another_pool_takes_no_weight() -> None:
    ctx = context()
    RestQueue(ctx).call("GET", "/fapi/v1/fundingRate", {"symbol": "BTCUSDT"}, "funding")
    assert len(effects(ctx, CallRest)) == 1
    assert ctx.rate_limits.weight.used(ctx.venue_ms) == 0


def test_what_does_not_fit_waits_and_goes_in_its_order() -> None:
    ctx = context()
    calls = RestQueue(ctx)
    for number in range(130):
        calls.call("GET", "/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": 1000}, number)
    sent = ctx.take_effects()
    assert sum(isinstance(request, CallRest) for request in sent) == 120
    (wake,) = {request.at_ns for request in sent if isinstance(request, WakeAt)}
    assert wake >= (START_MS + 60_000) * NS_PER_MS
    ctx.now_ns = wake
    calls.step(TimeReached("rest:queue"))
    assert len(effects(ctx, CallRest)) == 10


def test_b8_snapshots_leave_weight_for_needed_calls() -> None:
    """B8 and R6: all books are lost at once, and an order must still be looked for."""
    ctx = context()
    calls = RestQueue(ctx)
    for number in range(200):
        calls.call("GET", "/fapi/v1/depth", {"symbol": f"S{number}USDT", "limit": 1000}, number, Priority.NEW_RISK)
    assert len(effects(ctx, CallRest)) == 96
    calls.call("GET", "/fapi/v1/openOrders", {}, "needed")
    (call,) = effects(ctx, CallRest)
    assert call.path == "/fapi/v1/openOrders"
    assert ctx.rate_limits.reserve(1, 0, 0, ctx.venue_ms, Priority.NEEDED) == 0


def test_a_purpose_is_busy_while_its_call_waits_or_is_under_way() -> None:
    ctx = context()
    calls = RestQueue(ctx)
    ctx.rate_limits.ban(ctx.venue_ms + 1_000)
    calls.call("GET", "/fapi/v1/ping", {}, "ping")
    assert calls.busy("ping")
    ctx.now_ns += 1_000 * NS_PER_MS
    calls.step(TimeReached("rest:queue"))
    (call,) = effects(ctx, CallRest)
    assert calls.busy("ping")
    assert not calls.busy("pong")
    calls.step(RestAnswered(call.call_id, answer(), START_NS))
    assert not calls.busy("ping")


@pytest.mark.parametrize(
    ("back", "ban_ms"),
    [
        (answer(418, b'{"code":-1003,"msg":"Way too many requests; IP banned until 1700000099000."}'), 1_700_000_099_000),
        (answer(429, b'{"code":-1003,"msg":"Too many requests"}', retry_after="7"), START_MS + 8_000),
        (answer(429, b""), START_MS + 60_000),
        (answer(418, b"<html>"), START_MS + 121_000),
    ],
)
def test_r1_ban_is_kept_and_waiting_calls_go_when_it_ends(back: Answer, ban_ms: int) -> None:
    ctx = context()
    calls = RestQueue(ctx)
    calls.call("GET", "/fapi/v1/ping", {}, "first")
    (call,) = effects(ctx, CallRest)
    calls.step(RestAnswered(call.call_id, back, START_NS))
    assert ctx.rate_limits.banned_until_ms == ban_ms
    assert [effect.text for effect in effects(ctx, Log)]
    calls.call("GET", "/fapi/v1/ping", {}, "second")
    (wake,) = ctx.take_effects()
    assert wake == WakeAt("rest:queue", ban_ms * NS_PER_MS)
    ctx.now_ns = wake.at_ns - NS_PER_MS
    calls.step(TimeReached("rest:queue"))
    assert effects(ctx, CallRest) == []
    ctx.now_ns = wake.at_ns
    calls.step(TimeReached("rest:queue"))
    assert len(effects(ctx, CallRest)) == 1


def test_the_count_of_the_server_is_adopted() -> None:
    ctx = context()
    calls = RestQueue(ctx)
    calls.step(RestAnswered(77, answer(x_mbx_used_weight_1m="1234"), START_NS))
    assert ctx.rate_limits.weight.used(ctx.venue_ms) == 1234
    calls.step(RestAnswered(78, answer(x_mbx_used_weight_1m="-1"), START_NS))
    assert ctx.rate_limits.weight.used(ctx.venue_ms) == 1234


def test_an_answer_that_doubts_our_clock_is_noticed() -> None:
    ctx = context()
    calls = RestQueue(ctx)
    calls.step(RestAnswered(1, answer(400, b'{"code":-1102,"msg":"x"}'), START_NS))
    assert ctx.events == []
    calls.step(RestAnswered(2, answer(400, b'{"code":-1021,"msg":"Timestamp"}'), START_NS))
    assert ctx.events == [ClockDoubted()]


def test_the_queue_is_bounded() -> None:
    ctx = context()
    calls = RestQueue(ctx)
    ctx.rate_limits.ban(ctx.venue_ms + 1_000)
    for number in range(2_100):
        calls.call("GET", "/fapi/v1/ping", {}, number)
    assert sum("left out" in effect.text for effect in effects(ctx, Log)) == 100


def test_a_clock_sample_is_taken_from_an_answer() -> None:
    ctx = context()
    calls = RestQueue(ctx)
    calls.call("GET", "/fapi/v1/time", {}, "time")
    (call,) = effects(ctx, CallRest)
    (back,) = calls.step(RestAnswered(call.call_id, answer(), START_NS))
    told = attrs.evolve(back, answer=answer(body=b'{"serverTime":%d}' % (START_MS + 50)))
    sample = clock_sample(told, START_NS + 20 * NS_PER_MS)
    assert sample is not None
    assert (sample.offset_ms, sample.round_trip_ms) == (40, 20)


@pytest.mark.parametrize(
    "time", ["0", "-1", "1e13", str(10**13 + 1), str(2**63 - 1), "9" * 5000, '"1700000000000"', "null", "[" * 5000]
)
def test_what_is_no_time_is_no_clock_sample(time: str) -> None:
    returned = Returned("time", answer(body=b'{"serverTime":%b}' % time.encode()), "", START_NS)
    assert clock_sample(returned, START_NS + 1) is None
    assert clock_sample(attrs.evolve(returned, answer=None), START_NS + 1) is None
    assert clock_sample(attrs.evolve(returned, answer=answer(status=503)), START_NS + 1) is None
