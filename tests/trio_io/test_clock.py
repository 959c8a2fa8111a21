"""Our time: it begins at the wall clock, goes only forward, and is virtual under a mock clock."""

from __future__ import annotations

import datetime
import random
import time
from collections.abc import Iterator

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from coldframe.model.inputs import TimeReached
from coldframe.trio_io.clock import Clock, stopwatch_ns, wall_text
from coldframe.trio_io.inbox import Inbox
from coldframe.trio_io.timers import Timers
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

    trio.run(run, clock=MockClock(autojump_threshold=0))


@given(st.integers(0, 10**15), st.integers(0, 10**9))
def test_at_a_moment_it_says_that_moment(after_ns: int, offset_ns: int) -> None:
    """Otherwise a task that sleeps until a moment would wake just before it, and under a mock clock would wake there for ever."""

    async def run() -> None:
        await trio.sleep(offset_ns / NS_PER_S)
        clock = Clock(START_NS)
        await trio.sleep_until(clock.trio_time(START_NS + after_ns))
        assert clock.now_ns() == START_NS + after_ns

    trio.run(run, clock=MockClock(autojump_threshold=0))


async def test_the_stopwatch_counts_what_a_hook_takes(mock_clock: MockClock) -> None:
    began_ns = stopwatch_ns()
    mock_clock.jump(0.015)
    assert stopwatch_ns() - began_ns == 15_000_000


def test_a_moment_as_people_read_it() -> None:
    assert wall_text(START_NS) == "22:13:20.123"
    assert wall_text(0) == "00:00:00.000"
    assert wall_text(999_999) == "00:00:00.000"


@pytest.fixture(params=["UTC0", "XYZ-05:45", "CET-1CEST,M3.5.0,M10.5.0/3", "right/UTC"])
def elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine in another time zone: with an odd offset, with summer time, with leap seconds."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_c5_a_moment_is_told_in_utc_wherever_the_machine_is(elsewhere: None) -> None:
    """Around both changes of summer time and a leap second, and at any other time."""
    epoch, chance = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC), random.Random(5)
    days = [(2024, 3, 31), (2024, 10, 27), (2016, 12, 31), (2017, 1, 1)]
    near = [
        int((datetime.datetime(*day, tzinfo=datetime.UTC) - epoch).total_seconds()) + hour * 1_800
        for day in days
        for hour in range(50)
    ]
    for second in near + [chance.randrange(4_000_000_000) for _ in range(500)]:
        ms = chance.randrange(1_000)
        said = (epoch + datetime.timedelta(seconds=second, milliseconds=ms)).strftime("%H:%M:%S.") + f"{ms:03d}"
        assert wall_text(second * NS_PER_S + ms * 1_000_000 + 999_999) == said


def test_c3_timers_fire_on_time_while_the_wall_clock_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, came = [START_NS], list[tuple[str, int]]()
    monkeypatch.setattr(time, "time_ns", lambda: wall[0])

    async def run() -> None:
        clock = Clock()
        inbox = Inbox(clock.now_ns)
        timers = Timers(clock, inbox)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(timers.run)
            for second, step_s in enumerate((10, -20, 10, 0)):
                timers.set(f"in {second}", clock.now_ns() + NS_PER_S)
                wall[0] += step_s * NS_PER_S
                (stamped,) = await inbox.receive()
                assert isinstance(stamped.event, TimeReached)
                came.append((stamped.event.key, stamped.at_ns))
            nursery.cancel_scope.cancel()

    trio.run(run, clock=MockClock(autojump_threshold=0))
    assert came == [(f"in {second}", START_NS + (second + 1) * NS_PER_S) for second in range(4)]
