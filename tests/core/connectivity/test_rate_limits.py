"""The rate limits beside a server that counts for itself: never above its limits, and hardly ever below what they allow."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.connectivity.rate_limits import BOUNDARY_SLACK_MS, LimitWindow, Priority, RateLimits
from coldframe.enums import RateLimitType
from coldframe.wire.codec import Census, decode
from coldframe.wire.reference import RateLimit
from tests.core.made import START_MS
from tests.examples import examples

NEEDED, NEW_RISK = Priority.NEEDED, Priority.NEW_RISK


def row(kind: str, interval: str, number: int, limit: int, **more: int) -> RateLimit:
    body: dict[str, Any] = {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
    return decode(RateLimit, msgspec.json.encode(body | more), Census())


# -- a server that counts for itself ----------------------------------------------------------------------------------


@attrs.define
class Counter:
    """One limit as a server counts it: in fixed intervals of its own clock, and over every stretch of that length."""

    length_ms: int
    most_fixed: int = 0
    most_sliding: int = 0
    _fixed: dict[int, int] = attrs.field(factory=dict)
    _recent: deque[tuple[int, int]] = attrs.field(factory=deque)

    def count(self, amount: int, server_ms: int, steady_ms: int) -> int:
        """Counts a request that arrived at `server_ms`; `steady_ms` is the same on a clock without jitter."""
        interval = server_ms // self.length_ms
        self._fixed[interval] = self._fixed.get(interval, 0) + amount
        self.most_fixed = max(self.most_fixed, self._fixed[interval])
        self._recent.append((steady_ms, amount))
        while self._recent[0][0] <= steady_ms - self.length_ms:
            self._recent.popleft()
        self.most_sliding = max(self.most_sliding, sum(counted for _, counted in self._recent))
        return self._fixed[interval]


@attrs.define
class Server:
    weight: Counter = attrs.field(factory=lambda: Counter(60_000))
    orders_10s: Counter = attrs.field(factory=lambda: Counter(10_000))
    orders_1m: Counter = attrs.field(factory=lambda: Counter(60_000))


WEIGHTS, ORDERS = ((1, 0), (20, 0), (40, 0)), ((0, 1), (0, 1), (0, 5))


@given(
    seed=st.integers(0, 2**32),
    traffic=st.sampled_from([WEIGHTS, ORDERS, WEIGHTS + ORDERS]),
    skew_ms=st.integers(-BOUNDARY_SLACK_MS, BOUNDARY_SLACK_MS - 1),
    jitter=st.booleans(),
    hurry=st.sampled_from([1, 10, 200]),
    adopts=st.booleans(),
)
@settings(max_examples=examples(60))
def test_r5_no_request_exceeds_a_limit_as_the_server_counts(
    seed: int, traffic: tuple[tuple[int, int], ...], skew_ms: int, jitter: bool, hurry: int, adopts: bool
) -> None:
    chance, rate_limits, server, now = random.Random(seed), RateLimits(), Server(), START_MS + seed % 60_000
    for _ in range(1_500):
        now += chance.choice((0, 0, 0, 1, hurry))
        weight, orders = chance.choice(traffic)
        wait_until = rate_limits.reserve(weight, orders, min(orders, 1), now, chance.choice((NEEDED, NEEDED, NEW_RISK)))
        if wait_until:
            assert wait_until > now
            now = wait_until if chance.random() < 0.3 else now
            continue
        shift = chance.randrange(-BOUNDARY_SLACK_MS, BOUNDARY_SLACK_MS) if jitter else skew_ms
        counts = [
            counter.count(amount, now + shift, now)
            for counter, amount in ((server.weight, weight), (server.orders_10s, orders), (server.orders_1m, min(orders, 1)))
            if amount
        ]
        if adopts and weight:
            rate_limits.adopt_weight(counts[0], now)
    assert server.weight.most_fixed <= 2400
    assert max(server.orders_10s.most_fixed, server.orders_10s.most_sliding) <= 300
    assert max(server.orders_1m.most_fixed, server.orders_1m.most_sliding) <= 1200


@pytest.mark.parametrize(("amount", "limit", "priority"), [(20, 2400, NEEDED), (1, 2400, NEEDED), (20, 1920, NEW_RISK)])
def test_a_greedy_user_gets_nearly_all_of_every_minute(amount: int, limit: int, priority: Priority) -> None:
    rate_limits, now, spent = RateLimits(), START_MS, 0
    while now < START_MS + 10 * 60_000:
        wait_until = rate_limits.reserve(amount, 0, 0, now, priority)
        spent += 0 if wait_until else amount
        now = max(now, wait_until)
    assert 0.95 * 10 * limit <= spent <= 10 * limit


def test_a_greedy_user_gets_nearly_all_orders_too() -> None:
    rate_limits, now, sent = RateLimits(), START_MS, 0
    while now < START_MS + 10 * 60_000:
        wait_until = rate_limits.reserve(0, 1, 1, now, NEEDED)
        sent += not wait_until
        now = max(now, wait_until)
    assert 0.95 * 10 * 1200 <= sent <= 10 * 1200


@given(
    spends=st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 40)), max_size=40),
    amount=st.integers(1, 100),
    sliding=st.booleans(),
    priority=st.sampled_from(Priority),
)
def test_retry_times_are_never_late_and_lead_to_success(
    spends: list[tuple[int, int]], amount: int, sliding: bool, priority: Priority
) -> None:
    window, now = LimitWindow(RateLimitType.ORDERS, 10_000, 150, sliding), START_MS
    for pause, spend in spends:
        now += pause
        if window.fits(spend, now, NEEDED):
            window.spend(spend, now)
    for _ in range(3):
        at = window.free_at_ms(amount, now, priority)
        assert (at == now) == window.fits(amount, now, priority)
        assert at == now or not window.fits(amount, at - 1, priority)
        assert at >= now
        now = at
    assert window.fits(amount, now, priority)


# -- what is counted where --------------------------------------------------------------------------------------------


def test_amount_spent_just_before_a_boundary_counts_in_both() -> None:
    window = LimitWindow(RateLimitType.REQUEST_WEIGHT, 60_000, 100, sliding=False)
    window.spend(30, START_MS + 59_700)
    window.spend(40, START_MS + 59_800)
    assert window.used(START_MS + 60_000 + BOUNDARY_SLACK_MS - 1) == 70
    assert window.used(START_MS + 60_000 + BOUNDARY_SLACK_MS) == 40
    assert window.used(START_MS + 120_000 + BOUNDARY_SLACK_MS) == 0


def test_old_interval_counts_until_it_has_certainly_passed() -> None:
    window = LimitWindow(RateLimitType.REQUEST_WEIGHT, 60_000, 100, sliding=False)
    window.spend(100, START_MS + 10_000)
    assert not window.fits(1, START_MS + 60_000, NEEDED)
    assert window.free_at_ms(1, START_MS + 60_000, NEEDED) == START_MS + 60_000 + BOUNDARY_SLACK_MS
    assert window.fits(100, START_MS + 60_000 + BOUNDARY_SLACK_MS, NEEDED)


def test_r5_orders_are_also_counted_over_any_stretch() -> None:
    window = LimitWindow(RateLimitType.ORDERS, 10_000, 10, sliding=True)
    for at in range(10):
        window.spend(1, START_MS + 9_000 + at)
    assert not window.fits(1, START_MS + 10_500, NEEDED)
    assert window.free_at_ms(3, START_MS + 10_500, NEEDED) == START_MS + 19_002
    assert window.peak == 10


def test_r3_higher_server_count_is_adopted_a_lower_count_is_not() -> None:
    rate_limits = RateLimits()
    rate_limits.reserve(100, 0, 0, START_MS + 5_000, NEEDED)
    rate_limits.adopt_weight(2_350, START_MS + 5_100)
    assert rate_limits.reserve(60, 0, 0, START_MS + 5_200, NEEDED) == START_MS + 60_000 + BOUNDARY_SLACK_MS
    rate_limits.adopt_weight(3, START_MS + 5_300)
    assert rate_limits.weight.used(START_MS + 5_400) == 2_350
    assert rate_limits.weight.peak == 2_350


def test_a_count_of_the_old_minute_does_not_burden_the_new_one() -> None:
    rate_limits = RateLimits()
    rate_limits.adopt_weight(2_300, START_MS + 60_000 + 50)
    assert rate_limits.weight.used(START_MS + 60_100) == 2_300
    assert rate_limits.weight.used(START_MS + 60_000 + BOUNDARY_SLACK_MS) == 0


def test_adopted_count_ends_with_its_interval() -> None:
    rate_limits = RateLimits()
    rate_limits.reserve(7, 0, 0, START_MS + 59_900, NEEDED)
    rate_limits.adopt_weight(2_000, START_MS + 59_950)
    assert rate_limits.weight.used(START_MS + 60_000 + BOUNDARY_SLACK_MS) == 7


def test_the_rows_of_an_answer_go_to_their_windows() -> None:
    rate_limits = RateLimits()
    rate_limits.adopt_rows(
        [
            row("ORDERS", "SECOND", 10, 300, count=250),
            row("ORDERS", "MINUTE", 1, 1200, count=700),
            row("REQUEST_WEIGHT", "MINUTE", 1, 2400, count=90),
            row("REQUEST_WEIGHT", "HOUR", 1, 9, count=9),
            row("RAW_REQUESTS", "MINUTE", 5, 61000, count=5),
            row("SOMETHING_NEW", "FORTNIGHT", 1, 1, count=1),
            row("ORDERS", "SECOND", 10, 300),
        ],
        START_MS + 3_000,
    )
    used = [window.used(START_MS + 3_000) for window in (rate_limits.orders_10s, rate_limits.orders_1m, rate_limits.weight)]
    assert used == [250, 700, 90]


def test_r6_new_risk_leaves_a_fifth_for_what_is_needed() -> None:
    rate_limits = RateLimits()
    assert rate_limits.reserve(1_920, 0, 0, START_MS + 1_000, NEW_RISK) == 0
    assert rate_limits.reserve(1, 0, 0, START_MS + 1_000, NEW_RISK) > 0
    assert rate_limits.reserve(480, 0, 0, START_MS + 1_000, NEEDED) == 0
    assert rate_limits.reserve(1, 0, 0, START_MS + 1_000, NEEDED) > 0


def test_a_reservation_is_all_or_nothing() -> None:
    rate_limits = RateLimits()
    assert rate_limits.reserve(0, 300, 300, START_MS, NEEDED) == 0
    assert rate_limits.reserve(10, 1, 1, START_MS, NEEDED) > START_MS
    assert rate_limits.weight.used(START_MS) == 0
    assert rate_limits.orders_1m.used(START_MS) == 300


def test_r2_nothing_is_sent_during_a_ban_and_bans_never_shorten() -> None:
    rate_limits = RateLimits()
    rate_limits.ban(START_MS + 60_000)
    rate_limits.ban(START_MS + 30_000)
    for priority in Priority:
        assert rate_limits.reserve(1, 0, 0, START_MS + 59_999, priority) == START_MS + 60_000
    assert rate_limits.weight.used(START_MS + 59_999) == 0
    assert rate_limits.reserve(1, 0, 0, START_MS + 60_000, NEEDED) == 0


def test_a_clock_that_is_set_back_does_not_lock_the_limits() -> None:
    rate_limits = RateLimits()
    rate_limits.reserve(2_400, 0, 0, START_MS + 3_600_000, NEEDED)
    assert rate_limits.weight.free_at_ms(1, START_MS + 5_000, NEEDED) <= START_MS + 60_000 + BOUNDARY_SLACK_MS


@pytest.mark.parametrize(("later_ms", "used"), [(9_999, 5), (10_000, 0), (10_001, 0)])
def test_what_was_spent_leaves_the_stretch_after_its_length(later_ms: int, used: int) -> None:
    window = LimitWindow(RateLimitType.ORDERS, 10_000, 300, sliding=True)
    window.spend(5, START_MS + 1_000)
    assert window.used(START_MS + 1_000 + later_ms) == used


@pytest.mark.parametrize(("before_ms", "used"), [(BOUNDARY_SLACK_MS + 1, 0), (BOUNDARY_SLACK_MS, 0), (BOUNDARY_SLACK_MS - 1, 5)])
def test_only_what_was_spent_within_the_slack_counts_twice(before_ms: int, used: int) -> None:
    window = LimitWindow(RateLimitType.REQUEST_WEIGHT, 60_000, 2_400, sliding=False)
    window.spend(5, START_MS - before_ms)
    assert window.used(START_MS + BOUNDARY_SLACK_MS) == used


@pytest.mark.parametrize(("count", "entries"), [(4, 1), (5, 1), (6, 2)])
def test_a_count_that_says_nothing_new_is_not_remembered(count: int, entries: int) -> None:
    window = LimitWindow(RateLimitType.REQUEST_WEIGHT, 60_000, 2_400, sliding=False)
    window.spend(5, START_MS)
    for _ in range(100):
        window.adopt(count, START_MS)
    assert window.used(START_MS) == max(count, 5)
    assert len(window._interval.entries) == entries


@pytest.mark.parametrize("sliding", [True, False])
def test_count_of_the_server_alone_ends_with_its_interval(sliding: bool) -> None:
    window = LimitWindow(RateLimitType.ORDERS, 10_000, 10, sliding=sliding)
    window.spend(1, START_MS + 1_000)
    window.adopt(10, START_MS + 9_000)
    assert window.free_at_ms(2, START_MS + 9_500, NEEDED) == START_MS + 10_000 + BOUNDARY_SLACK_MS


def test_what_never_fits_is_named_the_next_interval() -> None:
    window = LimitWindow(RateLimitType.ORDERS, 10_000, 10, sliding=False)
    window.spend(1, START_MS + 1_000)
    assert window.free_at_ms(11, START_MS + 9_500, NEEDED) == START_MS + 10_000 + BOUNDARY_SLACK_MS
