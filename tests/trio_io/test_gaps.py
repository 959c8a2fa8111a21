"""A process that was not running notices it, from the wall clock or from its own."""

from __future__ import annotations

import time

import pytest
import trio
from trio.testing import MockClock

from coldframe.trio_io.clock import GAP_MS, Clock, GapWatch


@pytest.mark.parametrize("slept_ms", [0, GAP_MS - 1, GAP_MS, 3_600_000])
def test_c4_a_machine_that_slept_has_a_wall_clock_that_went_on(monkeypatch: pytest.MonkeyPatch, slept_ms: int) -> None:
    wall = [1_000_000_000]
    monkeypatch.setattr(time, "time_ns", lambda: wall[0])

    async def watched() -> tuple[int, int]:
        watch = GapWatch(Clock())
        wall[0] += (1_000 + slept_ms) * 1_000_000
        await trio.sleep(1)
        first = watch.missed_ms(1_000)
        wall[0] += 1_000_000_000
        await trio.sleep(1)
        return first, watch.missed_ms(1_000)

    missed = trio.run(watched, clock=MockClock(autojump_threshold=0))
    assert missed == (slept_ms if slept_ms >= GAP_MS else 0, 0)


def test_c4_a_process_that_was_stopped_finds_both_clocks_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)

    async def watched() -> int:
        watch = GapWatch(Clock())
        await trio.sleep(61)
        return watch.missed_ms(1_000)

    assert trio.run(watched, clock=MockClock(autojump_threshold=0)) == 60_000
