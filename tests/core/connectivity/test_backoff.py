"""Delays before the next try: doubling, capped, jittered, and reset only by a success that lasts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.connectivity.backoff import Backoff
from coldframe.units import NS_PER_MS, NS_PER_S

#: The luckiest and the unluckiest draw.
LUCKY, UNLUCKY = 0.0, 0.999_999


def test_n3_delays_double_up_to_the_cap() -> None:
    backoff = Backoff(lambda: UNLUCKY, base_ms=500, cap_ms=60_000)
    delays = [backoff.next_delay_ms(0) for _ in range(12)]
    assert delays[:4] == [499, 999, 1_999, 3_999]
    assert delays[-1] == 59_999


def test_even_the_luckiest_draw_is_no_tight_loop() -> None:
    backoff = Backoff(lambda: LUCKY)
    assert {backoff.next_delay_ms(0) for _ in range(50)} == {100}


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=60))
def test_every_delay_lies_between_a_little_and_the_cap(draws: list[float]) -> None:
    chances: Iterator[float] = iter(draws)
    backoff = Backoff(lambda: next(chances), base_ms=500, cap_ms=60_000)
    for number in range(len(draws)):
        assert 100 <= backoff.next_delay_ms(0) <= min(60_000, 500 << min(number, 20))


@pytest.mark.parametrize(("lasted_ms", "expected"), [(0, 7_999), (4_999, 7_999), (5_000, 499), (3_600_000, 499)])
def test_only_a_success_that_lasted_resets_the_delay(lasted_ms: int, expected: int) -> None:
    backoff = Backoff(lambda: UNLUCKY)
    for _ in range(4):
        backoff.next_delay_ms(0)
    backoff.succeeded(10 * NS_PER_S)
    assert backoff.next_delay_ms(10 * NS_PER_S + lasted_ms * NS_PER_MS) == expected


def test_a_success_counts_for_one_end_only() -> None:
    backoff = Backoff(lambda: UNLUCKY)
    backoff.succeeded(0)
    assert [backoff.next_delay_ms(60 * NS_PER_S) for _ in range(3)] == [499, 999, 1_999]


def test_n12_flapping_link_is_reopened_ever_less_often() -> None:
    """N12: a venue that flaps every 200 ms for ten minutes sees few connections."""
    backoff, now, opened = Backoff(lambda: 0.5), 0, 0
    while now < 600 * NS_PER_S:
        opened += 1
        backoff.succeeded(now)
        now += 200 * NS_PER_MS
        now += backoff.next_delay_ms(now) * NS_PER_MS
    assert opened <= 30
