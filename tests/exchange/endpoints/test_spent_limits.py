"""The bot's rate limits beside the venue's own counters: never refused, hardly anything left unused, and others tolerated."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.config.venue import VenueLimits
from coldframe.core.connectivity.rate_limits import BOUNDARY_SLACK_MS, Priority, RateLimits
from coldframe.exchange.endpoints.counters import Blocked, Counters
from coldframe.wire.weights import Pool
from tests.examples import examples

START_MS = 1_700_000_040_000  # a full minute
MINUTES = 10
LIMITS = [VenueLimits(), VenueLimits(weight_1m=600, orders_10s=50, orders_1m=100)]


def sent(counters: Counters, weight: int, orders: int, now_ms: int) -> Blocked | None:
    """One call as the venue takes it in."""
    refused = counters.charge(Pool.WEIGHT, weight, now_ms) if weight else None
    return refused or (counters.charge_orders("main", orders, orders, now_ms) if orders else None)


@given(
    seed=st.integers(0, 2**32),
    limits=st.sampled_from(LIMITS),
    skew_ms=st.integers(-BOUNDARY_SLACK_MS, BOUNDARY_SLACK_MS - 1),
    hurry_ms=st.sampled_from([1, 20, 400]),
)
@settings(max_examples=examples(60))
def test_r5_random_traffic_never_meets_a_limit_of_the_venue(seed: int, limits: VenueLimits, skew_ms: int, hurry_ms: int) -> None:
    chance, store, counters, now = random.Random(seed), RateLimits(), Counters(limits), START_MS + seed % 60_000
    store.adopt_limits(counters.listed())  # R7: the limits are the venue's, not ours
    for _ in range(1_500):
        now += chance.choice((0, 0, 1, hurry_ms))
        weight, orders = chance.choice(((1, 0), (5, 0), (20, 0), (0, 1), (0, 1), (0, 1), (1, 1)))
        wait_until = store.reserve(weight, orders, orders, now, chance.choice(list(Priority)))
        if wait_until:
            now = wait_until if chance.random() < 0.5 else now
            continue
        assert sent(counters, weight, orders, now + skew_ms) is None
        store.adopt_rows([counters.weight_row(now + skew_ms), *counters.order_rows("main", now + skew_ms)], now)


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize(("weight", "orders"), [(1, 0), (0, 1)])
def test_at_least_95_percent_of_every_budget_can_be_used(limits: VenueLimits, weight: int, orders: int) -> None:
    store, counters, now, done = RateLimits(), Counters(limits), START_MS, 0
    store.adopt_limits(counters.listed())
    while now < START_MS + MINUTES * 60_000:
        wait_until = store.reserve(weight, orders, orders, now, Priority.NEEDED)
        if wait_until:
            now = wait_until
            continue
        assert sent(counters, weight, orders, now) is None
        done += 1
    budget = MINUTES * (limits.weight_1m if weight else min(limits.orders_1m, 6 * limits.orders_10s))
    assert 0.95 * budget <= done <= budget


@given(seed=st.integers(0, 2**32))
@settings(max_examples=examples(30))
def test_r3_what_others_use_of_the_same_address_is_adopted(seed: int) -> None:
    """Others spend between two of our calls: at most what they spent since we last heard a count goes over the limit."""
    chance, store, counters, now = random.Random(seed), RateLimits(), Counters(VenueLimits()), START_MS
    unheard = 0
    for _ in range(3_000):
        now += chance.choice((0, 10, 50))
        if chance.random() < 0.3 and counters.used_weight(now) < 1_900:
            spent = chance.choice((1, 20, 50))
            counters.charge(Pool.WEIGHT, spent, now)
            unheard += spent
        if not store.reserve(5, 0, 0, now, Priority.NEEDED):
            counters.charge(Pool.WEIGHT, 5, now)
            assert counters.used_weight(now) <= 2_400 + unheard
            store.adopt_weight(counters.used_weight(now), now)
            unheard = 0


def test_r6_reserved_weight_remains_after_quoting_spent_the_rest() -> None:
    store, counters, now = RateLimits(), Counters(VenueLimits()), START_MS
    while not store.reserve(20, 0, 0, now, Priority.NEW_RISK):
        assert sent(counters, 20, 0, now) is None
    needed = 0
    while not store.reserve(5, 0, 0, now, Priority.NEEDED):
        assert sent(counters, 5, 0, now) is None
        needed += 5
    assert needed >= 0.2 * 2_400
