"""Our time: it begins at the wall clock, goes only forward, and is virtual under a mock clock."""

from __future__ import annotations

import time

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from coldframe.shell.clock import Clock, stopwatch_ns, wall_text
from coldframe.units import NS_PER_S

START_NS = 1_700_000_000_123_456_789


async def test_it_begins_at_the_wall_clock() -> None:
    before = time.time_ns()
    clock = Clock()
    after = time.time_ns()
    assert before <= clock.now_ns() <= after + NS_PER_S
    assert abs(clock.now_ms() - clock.now_ns() // 1_000_000) <= 1


async def test_c3_a_step_of_the_wall_clock_does_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    before = clock.now_ns()
    for step_s in (-3600, 10, 7200):
        wall = time.time_ns() + step_s * NS_PER_S
        monkeypatch.setattr(time, "time_ns", lambda wall=wall: wall)
        monkeypatch.setattr(time, "time", lambda wall=wall: wall / NS_PER_S)
        now = clock.now_ns()
        assert before <= now < before + NS_PER_S
        before = now


async def test_it_never_goes_back() -> None:
    clock = Clock()
    times = [clock.now_ns() for _ in range(10_000)]
    assert times == sorted(times)


def test_it_is_virtual_under_a_mock_clock() -> None:
    async def run() -> None:
        clock = Clock(START_NS)
        assert clock.now_ns() == START_NS
        await trio.sleep(72 * 3600)
        assert clock.now_ns() == START_NS + 72 * 3600 * NS_PER_S
        assert clock.now_ms() == clock.now_ns() // 1_000_000

    began = time.monotonic()
    trio.run(run, clock=MockClock(autojump_threshold=0))
    assert time.monotonic() - began < 5


@given(st.integers(0, 10**15), st.integers(0, 10**9))
def test_at_a_moment_it_says_that_moment(after_ns: int, offset_ns: int) -> None:
    """Otherwise whoever sleeps until a moment would wake just before it, and under a mock clock would wake there for ever."""

    async def run() -> None:
        await trio.sleep(offset_ns / NS_PER_S)
        clock = Clock(START_NS)
        await trio.sleep_until(clock.trio_time(START_NS + after_ns))
        assert clock.now_ns() == START_NS + after_ns

    trio.run(run, clock=MockClock(autojump_threshold=0))


def test_the_stopwatch_counts_forward() -> None:
    first = stopwatch_ns()
    assert first <= stopwatch_ns()


def test_a_moment_as_people_read_it() -> None:
    assert wall_text(START_NS) == "22:13:20.123"
    assert wall_text(0) == "00:00:00.000"
    assert wall_text(999_999) == "00:00:00.000"
