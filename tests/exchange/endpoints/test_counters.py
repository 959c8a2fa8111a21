"""Budgets and bans."""

from __future__ import annotations

from coldframe.config.venue import VenueLimits
from coldframe.exchange.endpoints.counters import Blocked, Counters, CounterWindow
from coldframe.wire.weights import Pool

MINUTE = 1_700_000_040_000  # a whole minute


def test_a_window_begins_anew_on_whole_multiples() -> None:
    window = CounterWindow(60_000)
    assert window.add(5, MINUTE + 59_999) == 5
    assert window.count(MINUTE + 59_999) == 5
    assert window.left_s(MINUTE + 59_999) == 1
    assert window.count(MINUTE + 60_000) == 0


def test_minute_weight_is_bounded_and_refused_calls_count() -> None:
    counters = Counters(VenueLimits(weight_1m=10))
    assert counters.charge(Pool.WEIGHT, 10, MINUTE) is None
    blocked = counters.charge(Pool.WEIGHT, 1, MINUTE + 15_000)
    assert isinstance(blocked, Blocked)
    assert (blocked.status, blocked.fault.code, blocked.retry_after_s) == (429, -1003, 45)
    assert "current limit is 10 requests per minute" in blocked.fault.msg
    assert counters.used_weight(MINUTE + 15_000) == 11
    assert counters.charge(Pool.WEIGHT, 1, MINUTE + 60_000) is None


def test_calls_without_weight_pass_when_the_weight_is_used_up() -> None:
    counters = Counters(VenueLimits(weight_1m=10))
    counters.charge(Pool.WEIGHT, 11, MINUTE)
    assert counters.charge(Pool.WEIGHT, 0, MINUTE) is None


def test_going_on_regardless_earns_a_ban_that_names_its_end() -> None:
    counters = Counters(VenueLimits(weight_1m=10))
    for _ in range(15):
        counters.charge(Pool.WEIGHT, 1, MINUTE)
    banned = counters.charge(Pool.WEIGHT, 1, MINUTE)
    assert isinstance(banned, Blocked)
    assert (banned.status, banned.fault.code, banned.retry_after_s) == (418, -1003, 120)
    assert f"IP banned until {MINUTE + 120_000}" in banned.fault.msg
    assert counters.banned(MINUTE + 119_999) is not None
    assert counters.charge(Pool.WEIGHT, 1, MINUTE + 120_000) is None


def test_funding_history_has_a_budget_of_its_own() -> None:
    counters = Counters(VenueLimits())
    for _ in range(500):
        assert counters.charge(Pool.FUNDING, 1, MINUTE) is None
    assert counters.charge(Pool.FUNDING, 1, MINUTE) is not None
    assert counters.used_weight(MINUTE) == 0


def test_orders_are_counted_by_account_in_two_windows() -> None:
    counters = Counters(VenueLimits(orders_10s=2, orders_1m=3))
    assert counters.charge_orders("a", 1, 1, MINUTE) is None
    assert counters.charge_orders("a", 1, 1, MINUTE) is None
    blocked = counters.charge_orders("a", 1, 1, MINUTE)
    assert blocked is not None
    assert (blocked.status, blocked.fault.code) == (429, -1015)
    assert blocked.fault.msg == "Too many new orders; current limit is 2 orders per 10 SECOND."
    assert counters.order_counts("a", MINUTE) == (2, 2)
    assert counters.charge_orders("b", 1, 1, MINUTE) is None
    assert counters.charge_orders("a", 1, 1, MINUTE + 10_000) is None
    blocked = counters.charge_orders("a", 1, 1, MINUTE + 20_000)
    assert blocked is not None
    assert blocked.fault.msg.endswith("3 orders per MINUTE.")


def test_a_batch_takes_five_of_one_window_and_one_of_the_other() -> None:
    counters = Counters(VenueLimits(orders_10s=6, orders_1m=2))
    assert counters.charge_orders("a", 5, 1, MINUTE) is None
    assert counters.charge_orders("a", 5, 1, MINUTE) is not None
    assert counters.order_counts("a", MINUTE) == (5, 1)


def test_a_ban_at_the_start_holds_for_its_time() -> None:
    counters = Counters(VenueLimits(), banned_until_ms=MINUTE + 5000)
    banned = counters.charge(Pool.WEIGHT, 1, MINUTE)
    assert banned is not None
    assert (banned.status, banned.retry_after_s) == (418, 5)
    assert counters.charge(Pool.WEIGHT, 1, MINUTE + 5000) is None
