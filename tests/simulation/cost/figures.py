"""What a market message costs, counted: calls of Python functions, instructions of the interpreter, and allocations.

No clock is read, so that a busy machine changes nothing. `python -m tests.simulation.cost` prints the figures beside the recorded
ones, with `--write` it records them.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import attrs
from bench.traffic import Traffic
from bench.world import World

from coldframe.model import effects as do
from coldframe.model import inputs as told

RECORDED: Final = Path(__file__).with_name("recorded.json")
#: Each row: a mix, how many frames come in one read, and how many are counted.
ROWS: Final = {
    "small, 1 a read": ("small", 1, 40),
    "small, 64 a read": ("small", 64, 64),
    "mixed, 1 a read": ("mixed", 1, 30),
    "mixed, 64 a read": ("mixed", 64, 64),
    "depth, 1 a read": ("depth", 1, 5),
    "depth, 8 a read": ("depth", 8, 8),
}
#: So many messages come before any is counted: books get their snapshots, and everything is there that is made once.
WARM: Final = 100
#: Of its recorded figure, so much is the most, and less than so much is worth a new record.
MOST: Final = 1.1
LEAST: Final = 0.7

Figures = dict[str, float]


@attrs.define
class Counter:
    """Counts while its `counting` is open.

    An allocation is an instruction after which more memory is in use than before it: what a function in C takes and gives back in
    between is not seen, nor what an object takes that lies in one of the interpreter's free lists.
    """

    calls: int = 0
    instructions: int = 0
    allocations: int = 0
    _used: int = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        before = sys.gettrace()
        self._used, _ = tracemalloc.get_traced_memory()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(before)

    def _called(self, frame: FrameType, event: str, arg: object) -> Any:
        self.calls += 1
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return self._traced

    def _traced(self, frame: FrameType, event: str, arg: object) -> Any:
        if event == "opcode":
            used, _ = tracemalloc.get_traced_memory()
            self.instructions += 1
            self.allocations += used > self._used
            self._used = used
        return self._traced


def measured() -> dict[str, Figures]:
    """Calls, instructions and allocations per message of every row, in one run of one bot."""
    world = World(Traffic())
    world.take(world.traffic.frames("mixed", WARM))
    assert world.synced
    engine_step, counter = world.engine.step, Counter()

    def counted(stamped: told.Stamped) -> Sequence[do.Effect]:
        with counter.counting():
            return engine_step(stamped)

    found = {}
    gc.disable()
    tracemalloc.start()
    try:
        for name, (mix, at_once, messages) in ROWS.items():
            world.step = engine_step
            world.take(world.traffic.frames(mix, at_once), at_once)  # the first of their kind make what is made once
            world.step, counter = counted, Counter()
            world.take(world.traffic.frames(mix, messages), at_once)
            made = attrs.asdict(counter, filter=lambda attribute, _: not attribute.name.startswith("_"))
            found[name] = {what: round(count / messages, 1) for what, count in made.items()}
    finally:
        tracemalloc.stop()
        gc.enable()
    return found


def recorded() -> dict[str, dict[str, Figures]]:
    """The recorded figures, by version of Python: each compiles to instructions of its own."""
    figures: dict[str, dict[str, Figures]] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return figures


def version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def dearer(before: Mapping[str, Figures], now: Mapping[str, Figures]) -> list[str]:
    """What costs more than a tenth more than recorded, or was not recorded: a line each."""
    return _beyond(before, now, lambda was, is_now: is_now > was * MOST)


def far_below(before: Mapping[str, Figures], now: Mapping[str, Figures]) -> list[str]:
    """What costs so much less that the record guards nothing any more: a line each."""
    return _beyond(before, now, lambda was, is_now: is_now < was * LEAST)


def _beyond(before: Mapping[str, Figures], now: Mapping[str, Figures], is_beyond: Callable[[float, float], bool]) -> list[str]:
    pairs = [
        (row, what, before.get(row, {}).get(what, 0.0), figure) for row, figures in now.items() for what, figure in figures.items()
    ]
    return [f"{row}: {what} {figure} a message, recorded {was}" for row, what, was, figure in pairs if is_beyond(was, figure)]
