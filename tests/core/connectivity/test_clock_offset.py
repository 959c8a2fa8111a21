"""The estimate of the venue's clock beside a clock that is known: never further off than it says."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.connectivity.clock_offset import ClockOffset, ClockSample
from coldframe.units import NS_PER_MS
from tests.core.made import START_NS

TRIPS = st.integers(0, 3_000 * NS_PER_MS)


def sample(sent_ns: int, there_ns: int, back_ns: int, offset_ns: int) -> ClockSample:
    """A question that took so long there and back, answered by a clock that is ahead of ours by `offset_ns`."""
    return ClockSample(sent_ns, sent_ns + there_ns + back_ns, (sent_ns + there_ns + offset_ns) // NS_PER_MS)


def test_before_the_first_sample_nothing_is_known() -> None:
    clock = ClockOffset()
    assert (clock.known, clock.offset_ms, clock.uncertainty_ms) == (False, 0, 1_000)
    assert clock.venue_ms(START_NS) == START_NS // NS_PER_MS
    assert ClockOffset(initial_ms=-700).venue_ms(START_NS) == START_NS // NS_PER_MS - 700


@given(st.lists(st.tuples(TRIPS, TRIPS), min_size=1, max_size=20), st.integers(-(10**13), 10**13))
def test_c1_offset_error_is_within_uncertainty_at_any_latency(trips: list[tuple[int, int]], offset_ns: int) -> None:
    clock = ClockOffset()
    for number, (there_ns, back_ns) in enumerate(trips):
        clock.sampled(sample(START_NS + number * 10**9, there_ns, back_ns, offset_ns))
    assert clock.known
    assert abs(clock.offset_ms * NS_PER_MS - offset_ns) <= clock.uncertainty_ms * NS_PER_MS
    assert abs(clock.venue_ms(START_NS) - (START_NS + offset_ns) // NS_PER_MS) <= clock.uncertainty_ms


def test_the_shortest_way_is_believed() -> None:
    clock = ClockOffset()
    clock.sampled(sample(START_NS, 900 * NS_PER_MS, 100 * NS_PER_MS, 0))
    clock.sampled(sample(START_NS + 10**9, 5 * NS_PER_MS, 5 * NS_PER_MS, 0))
    clock.sampled(sample(START_NS + 2 * 10**9, 100 * NS_PER_MS, 1_900 * NS_PER_MS, 0))
    assert clock.offset_ms == 0
    assert clock.uncertainty_ms <= 8


@pytest.mark.parametrize("drift_ppm", [200, -200])
def test_c2_a_drifting_clock_is_followed_for_a_day(drift_ppm: int) -> None:
    """C2: samples every five minutes over ways of 10 to 200 ms, half of it there on average."""
    clock, chance = ClockOffset(), random.Random(drift_ppm)
    for minutes in range(0, 24 * 60, 5):
        now = START_NS + minutes * 60 * 10**9
        offset_ns = 5 * 10**9 + (now - START_NS) * drift_ppm // 10**6
        clock.sampled(sample(now, chance.randrange(5, 100) * NS_PER_MS, chance.randrange(5, 100) * NS_PER_MS, offset_ns))
        assert abs(clock.offset_ms * NS_PER_MS - offset_ns) <= clock.uncertainty_ms * NS_PER_MS
        assert clock.uncertainty_ms < 250


def test_a_sample_that_went_back_in_time_is_ignored() -> None:
    clock = ClockOffset()
    clock.sampled(ClockSample(START_NS, START_NS - 1, 5))
    assert not clock.known


def test_forgotten_offset_is_the_best_guess_until_a_new_sample() -> None:
    clock = ClockOffset()
    clock.sampled(sample(START_NS, 0, 0, 3_600 * 10**9))
    clock.forget()
    assert (clock.known, clock.offset_ms, clock.uncertainty_ms) == (False, 3_600_000, 1_000)
    clock.forget()
    assert clock.offset_ms == 3_600_000
    clock.sampled(sample(START_NS + 10**9, 500 * NS_PER_MS, 500 * NS_PER_MS, 0))
    assert clock.offset_ms == 0
