"""Whole runs on virtual time: real sockets within one process, and no waiting.

Both ends of each socket live in one Trio loop. When no task can go on and no thread works for one, only time can bring anything:
it jumps to the next deadline.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import Final, TypeVar

import trio
from trio.testing import MockClock

Returned = TypeVar("Returned")
#: For so long in real seconds nothing may happen before time jumps: what is in a socket's buffer is read before that.
_QUIET_S: Final = 0.001


class _Patience(trio.abc.Instrument):
    """Time stands still while a thread works for a task: what a disk does takes no virtual time."""

    def __init__(self, clock: MockClock) -> None:
        self._clock = clock

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        threads = trio.to_thread.current_default_thread_limiter().borrowed_tokens
        self._clock.autojump_threshold = inf if threads else _QUIET_S


def run_virtually(main: Callable[[], Awaitable[Returned]]) -> Returned:
    """`trio.run` on a clock that jumps."""
    clock = jumping_clock()
    return trio.run(main, clock=clock, instruments=[_Patience(clock)])


def jumping_clock() -> MockClock:
    """The clock alone, for what has sockets and no threads: as a fixture `virtual_clock`."""
    return MockClock(autojump_threshold=_QUIET_S)


def pass_time(seconds: float) -> None:
    """Lets virtual time pass while the caller stands still, as in a hook that computes for so long; in a replay there is none."""
    if not trio.lowlevel.in_trio_run():
        return
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    clock.jump(seconds)
