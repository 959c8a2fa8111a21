"""A market message takes no more calls, instructions and allocations than was recorded, with a tenth to spare."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path

import pytest

from tests.simulation.cost.__main__ import WRITE
from tests.simulation.cost.figures import ROWS, Counter, dearer, far_below, recorded, version

ROOT = Path(__file__).parents[3]


@pytest.mark.scene
@pytest.mark.skipif(version() not in recorded(), reason="no figures recorded for this version of Python")
def test_a_message_costs_what_was_recorded() -> None:
    """In a process of its own, where no other test has filled a cache.

    Where more is meant, `python -m tests.simulation.cost --write`.
    """
    line = [sys.executable, "-m", "tests.simulation.cost"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert all(f"{row}: calls " in done.stdout for row in ROWS)
    if "far below" in done.stdout:
        warnings.warn(f"A message costs far less than was recorded; {WRITE}.", stacklevel=1)


def test_every_row_is_recorded() -> None:
    assert recorded()
    for figures in recorded().values():
        assert list(figures) == list(ROWS)
        assert all(figure > 0 for row in figures.values() for figure in row.values())


@pytest.mark.parametrize(
    ("now", "is_dearer", "is_far_below"),
    [(100.0, False, False), (110.0, False, False), (110.2, True, False), (70.0, False, False), (69.9, False, True)],
)
def test_a_tenth_more_is_too_much(now: float, is_dearer: bool, is_far_below: bool) -> None:
    before = {"small": {"calls": 100.0, "allocations": 50.0}}
    after = {"small": {"calls": now, "allocations": 50.0}}
    line = [f"small: calls {now} a message, recorded 100.0"]
    assert dearer(before, after) == (line if is_dearer else [])
    assert far_below(before, after) == (line if is_far_below else [])


def test_what_was_not_recorded_is_too_much() -> None:
    assert dearer({}, {"small": {"calls": 1.0}}) == ["small: calls 1.0 a message, recorded 0.0"]


def calls(times: int) -> None:
    for _ in range(times):
        keeps(0)


def keeps(times: int) -> list[bytes]:
    kept = []
    for number in range(times):
        kept.append(b"%2000d" % number)  # noqa: PERF401 - a loop of instructions
    return kept


def counted(times_called: int, times_kept: int) -> Counter:
    counter = Counter()
    tracemalloc.start()
    try:
        with counter.counting():
            calls(times_called)
            keeps(times_kept)
    finally:
        tracemalloc.stop()
    return counter


def test_calls_instructions_and_allocations_are_seen() -> None:
    bare, calling, keeping = counted(0, 0), counted(50, 0), counted(0, 50)
    assert calling.calls - bare.calls == 50
    assert keeping.calls == bare.calls
    assert keeping.allocations - bare.allocations >= 50
    assert keeping.instructions - bare.instructions >= 50 * 5
