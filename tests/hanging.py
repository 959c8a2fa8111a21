"""What a test that hangs was doing: pytest ends it and prints its threads, this prints its Trio tasks shortly before.

All tasks of a run share one thread, which stands in the loop's own wait: the threads alone say nothing about them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from types import FrameType

import pytest
import trio

#: How long before the end of a hanging test its tasks are printed, in seconds.
BEFORE_S = 1.0
_STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_STDERR] = os.dup(2)  # while a test runs, 2 is what captures its output


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[_STDERR])


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    limit_s = float(item.config.getini("faulthandler_timeout"))
    if limit_s <= BEFORE_S or not hasattr(signal, "SIGALRM"):
        return (yield)
    before = signal.signal(signal.SIGALRM, lambda _signal, _frame: _tell(item))
    signal.setitimer(signal.ITIMER_REAL, limit_s - BEFORE_S)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _tell(item: pytest.Item) -> None:
    lines = [f"{item.nodeid} hangs", *trio_tasks(), ""]
    os.write(item.config.stash[_STDERR], "\n".join(lines).encode())


def trio_tasks() -> Iterator[str]:
    """The tasks of this thread's run, children below parents, each with the calls it waits in, outermost first."""
    try:
        root = trio.lowlevel.current_root_task()
    except RuntimeError:
        return
    if root is not None:
        yield from _lines(root, "  ")


def _lines(task: trio.lowlevel.Task, indent: str) -> Iterator[str]:
    yield f"{indent}task {task.name}"
    frames: Iterator[tuple[FrameType, int]] = task.iter_await_frames()
    for frame, line in frames:
        yield f"{indent}  {frame.f_code.co_filename}:{line} in {frame.f_code.co_qualname}"
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield from _lines(child, indent + "    ")
