"""The only module that reads clocks. Everything below it gets time inside events.

Our time is the system's wall clock at the start of the run plus what Trio's clock has counted since: it never goes back, a step of
the system clock does not reach it, and under a mock clock it is virtual.
"""

from __future__ import annotations

import time
from typing import Final

import trio

from coldframe.units import NS_PER_MS, NS_PER_S

#: A shorter pause does not count: a busy machine makes such as well.
GAP_MS: Final = 5_000


class Clock:
    """Time since the epoch, in nanoseconds and milliseconds. Only inside `trio.run`."""

    def __init__(self, start_wall_ns: int | None = None) -> None:
        self._wall_ns = time.time_ns() if start_wall_ns is None else start_wall_ns
        self._start = trio.current_time()

    def now_ns(self) -> int:
        # Rounded, so that it is `at_ns` at `trio_time(at_ns)` and not just before it.
        return self._wall_ns + round((trio.current_time() - self._start) * NS_PER_S)

    def now_ms(self) -> int:
        return self.now_ns() // NS_PER_MS

    def trio_time(self, at_ns: int) -> float:
        """The moment `at_ns` on Trio's clock, for `trio.sleep_until`."""
        return self._start + (at_ns - self._wall_ns) / NS_PER_S


class GapWatch:
    """Notices that nothing has been running: the machine slept, or the process was stopped (faults.md C4).

    While a machine sleeps its monotonic clock stands and the wall clock goes on; a stopped process finds both of them further than
    it has asked to sleep. A step of the wall clock looks like the former, and costs no more than looking at everything once.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall_ns = time.time_ns()
        self._ours_ns = clock.now_ns()

    def missed_ms(self, expected_ms: int) -> int:
        """How long nothing ran since the last call, if `expected_ms` were to lie between; 0 for less than `GAP_MS`."""
        wall_ns, ours_ns = time.time_ns(), self._clock.now_ns()
        passed_ns = max(wall_ns - self._wall_ns, ours_ns - self._ours_ns)
        self._wall_ns, self._ours_ns = wall_ns, ours_ns
        missed_ms = passed_ns // NS_PER_MS - expected_ms
        return missed_ms if missed_ms >= GAP_MS else 0


class ThreadClock:
    """The same time for a thread that has no Trio: made where there is one, read anywhere."""

    def __init__(self, clock: Clock) -> None:
        self._began_ns = clock.now_ns()
        self._began_s = monotonic_s()

    def now_ns(self) -> int:
        return self._began_ns + round((monotonic_s() - self._began_s) * NS_PER_S)

    def now_ms(self) -> int:
        return self.now_ns() // NS_PER_MS


def epoch_ns() -> int:
    """The system's wall clock, for verbs that live without a run."""
    return time.time_ns()


def monotonic_s() -> float:
    """A clock that never goes back and has no beginning: for how long something takes, on any thread."""
    return time.monotonic()


def wait_s(seconds: float) -> None:
    """Lets time pass on a thread that has nothing else to do."""
    time.sleep(seconds)


def stopwatch_ns() -> int:
    """Nanoseconds on Trio's clock, which only runs forward: what everything else waits while a hook computes, or sleeps."""
    return round(trio.current_time() * NS_PER_S)


def wall_text(at_ns: int) -> str:
    """A moment as people read it in a log: UTC, to the millisecond, whatever the machine takes for its time zone (faults.md C5)."""
    seconds, rest = divmod(at_ns, NS_PER_S)
    minutes, second = divmod(seconds % 86_400, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}.{rest // NS_PER_MS:03d}"
