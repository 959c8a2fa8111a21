"""What the venue says about its limits and what follows from it: 429, answers without counts, limits that change in the middle."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coldframe.core.connectivity.rate_limits import BLIND_PERCENT, Priority, RateLimits
from coldframe.model.effects import CallRest, LinkKind, OpenLink, SendControl, SendRequest
from coldframe.model.inputs import FramesReceived, Lane, RestAnswered
from coldframe.model.intents import CancelAll
from coldframe.model.orders import OrderState
from coldframe.wire.rest import Answer
from tests.core.connectivity.test_rate_limits import row
from tests.core.made import START_MS
from tests.core.scripted import COUNTS, Actor, Scripted
from tests.core.told import place

NEEDED, NEW_RISK = Priority.NEEDED, Priority.NEW_RISK
LEAVES = SendRequest | CallRest | OpenLink | SendControl


def world() -> tuple[Scripted, Actor]:
    actor = Actor()
    return Scripted(actor).ready(), actor


def leaving(made: Scripted) -> list[Any]:
    return [effect for effect in made.effects if isinstance(effect, LEAVES)]


# -- R1 -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "until_s"), [({"retry-after": "17"}, 17), ({}, None)], ids=["until Retry-After", "until the minute ends"]
)
def test_r1_429_from_rest_stops_all_requests_until_its_time(headers: dict[str, str], until_s: int | None) -> None:
    made, actor = world()
    made.want(actor, place())
    (order,) = made.engine.orders.live
    made.run(4_000)
    made.holds.add("/fapi/v1/openOrders")
    made.run(30_000)
    call = next(order for order in made.held if isinstance(order, CallRest))
    left_ms = until_s * 1000 if until_s else 60_000 - made.venue_ms % 60_000
    assert left_ms > 2_000, "there is something to wait for"
    made.held.clear()
    made.holds.clear()
    made.effects.clear()
    body = b'{"code":-1003,"msg":"Too many requests"}'
    made.give(RestAnswered(call.call_id, Answer(429, headers, body), made.now_ns))
    made.lose(LinkKind.API)
    made.want(actor, CancelAll())
    made.run(left_ms - 200)
    assert leaving(made) == [], "not a byte, not even a handshake or a cancel"
    assert made.engine.limits_used[0] <= made.engine.limits_used[1]
    made.run(75_000)
    assert order.state is OrderState.CANCELED
    assert made.engine.trading is not None
    assert made.engine.trading.reports_complete
    made.want(actor, place(price="98"))
    assert made.sent("order.place")


def test_r1_1003_rejects_the_order_for_good_and_stops_rest_too() -> None:
    made, actor = world()
    made.holds.add("order.place")
    made.want(actor, place())
    (order,) = made.engine.orders.live
    left_ms = 60_000 - made.venue_ms % 60_000
    made.effects.clear()
    made.refuse(-1003, "Too many requests queued", status=429)
    assert order.state is OrderState.REJECTED, "it was refused before the venue looked at it, and is not sent again"
    made.run(left_ms - 200)
    assert leaving(made) == []
    made.run(60_000)
    assert made.called("/fapi/v1/openOrders"), "reconciliation goes on"
    assert made.sent("order.place") == []


# -- R4 -----------------------------------------------------------------------------------------------------------------


def most(rate_limits: RateLimits, priority: Priority, now_ms: int) -> tuple[int, int]:
    """How much weight, and how many orders, fit now."""
    weight = orders = 0
    while not rate_limits.reserve(1, 0, 0, now_ms, priority):
        weight += 1
    while not rate_limits.reserve(0, 1, 1, now_ms, priority):
        orders += 1
    return weight, orders


@pytest.mark.parametrize(("priority", "share"), [(NEEDED, 1.0), (NEW_RISK, 0.8)])
def test_r4_without_server_counts_a_fifth_of_limits_stays_unused(priority: Priority, share: float) -> None:
    seeing, blind = RateLimits(), RateLimits()
    blind.adopt_rows([], START_MS)
    assert most(seeing, priority, START_MS + 1_000) == (2400 * share, 300 * share)
    kept = 1 - BLIND_PERCENT / 100
    assert most(blind, priority, START_MS + 1_000) == (2400 * share * kept, 300 * share * kept)


def test_r4_first_server_count_ends_the_margin_of_its_limit() -> None:
    rate_limits = RateLimits()
    rate_limits.adopt_rows([], START_MS)
    rate_limits.adopt_rows([row("ORDERS", "SECOND", 10, 300, count=0)], START_MS)
    assert most(rate_limits, NEEDED, START_MS + 1_000) == (1_920, 300)
    rate_limits = RateLimits()
    rate_limits.adopt_weight(None, START_MS)
    assert most(rate_limits, NEEDED, START_MS + 1_000) == (1_920, 300)
    rate_limits.adopt_weight(2_000, START_MS + 1_000)
    assert most(rate_limits, NEEDED, START_MS + 1_000) == (400, 0)


@pytest.mark.parametrize(("counts", "accepted"), [(COUNTS, 240), (None, 192)])
def test_r4_flooding_strategy_is_refused_earlier_without_counts(counts: Any, accepted: int) -> None:
    made, actor = world()
    made.counts = counts
    made.want(actor, *(place(quantity="0.01") for _ in range(100)))
    made.want(actor, *(place(quantity="0.01") for _ in range(100)))
    made.want(actor, *(place(quantity="0.01") for _ in range(100)))
    assert made.verdicts(actor) == {"ACCEPTED": accepted, "RATE_LIMIT": 300 - accepted}


# -- R7 -----------------------------------------------------------------------------------------------------------------


def test_r7_limits_are_read_from_the_venue() -> None:
    rate_limits = RateLimits()
    rate_limits.adopt_limits(
        [row("REQUEST_WEIGHT", "MINUTE", 1, 6000), row("ORDERS", "SECOND", 10, 50), row("ORDERS", "MINUTE", 1, 0)]
    )
    assert (rate_limits.weight.limit, rate_limits.orders_10s.limit, rate_limits.orders_1m.limit) == (6000, 50, 1200)


def test_r7_limit_lowered_by_the_venue_holds_from_its_answer_on() -> None:
    made, actor = world()
    made.counts = [dict(count, limit=25) if count["interval"] == "SECOND" else count for count in COUNTS]
    made.want(actor, place(price="89"))
    made.want(actor, *(place(quantity="0.01") for _ in range(40)))
    assert made.verdicts(actor) == {"ACCEPTED": 20, "RATE_LIMIT": 21}
    assert made.engine.limits_used[3] == 25
    made.counts = [dict(count, limit=100) if count["interval"] == "SECOND" else count for count in COUNTS]
    made.run(11_000)
    made.want(actor, place(price="89"))
    made.want(actor, *(place(quantity="0.01") for _ in range(99)))
    assert made.verdicts(actor)["ACCEPTED"] == 20 + 80


def test_r7_an_answer_that_names_no_sensible_limit_changes_none() -> None:
    made, _ = world()
    rows = [dict(number, limit=-1, count=-1) for number in COUNTS]
    (link,) = made.of_kind(LinkKind.API)
    made.give(
        FramesReceived(link, (json.dumps({"id": 0, "status": 200, "result": {}, "rateLimits": rows}).encode(),)), Lane.PRIVATE
    )
    rate_limits = made.engine._ctx.rate_limits
    assert (rate_limits.weight.limit, rate_limits.orders_10s.limit, rate_limits.orders_1m.limit) == (2400, 300, 1200)
