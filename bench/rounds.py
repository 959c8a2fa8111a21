"""Rounds in which all ways take turns, so that a quiet or a busy moment meets each of them, and tables of their medians."""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

Ways = Mapping[str, Callable[[], object]]


def arguments(said: str | None, rounds: int) -> argparse.ArgumentParser:
    """The command line that every benchmark has."""
    parser = argparse.ArgumentParser(description=said, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"how often all ways take turns ({rounds})")
    parser.add_argument("--quick", action="store_true", help="little to do, to see that it works: the figures mean nothing")
    return parser


def interleaved(measures: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of what each way measures; every round has all of them, each round in the other direction."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds):
        names = list(measures)
        for name in reversed(names) if number % 2 else names:
            found[name].append(measures[name]())
    return {name: median(values) for name, values in found.items()}


def cpu_us(way: Callable[[], object], calls: int) -> float:
    """CPU microseconds per call, over so many calls."""
    began = time.process_time()
    for _ in range(calls):
        way()
    return (time.process_time() - began) / calls * 1e6


def in_turn(ways: Ways, rounds: int, calls: int = 1) -> dict[str, float]:
    """The median of the CPU microseconds per call of each way, after a call that warms it up."""
    for way in ways.values():
        way()
    return interleaved({name: lambda way=way: cpu_us(way, calls) for name, way in ways.items()}, rounds)  # type: ignore[misc]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as a document shows it; the first column is text, the others are figures."""
    lines = [list(head), ["---", *["---:"] * (len(head) - 1)], *([_shown(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(f"| {' | '.join(map(_cell, line, widths, range(len(line))))} |" for line in lines)


def _cell(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column else cell.ljust(width)


def _shown(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:.0f}" if cell >= 100 else f"{cell:.1f}" if cell >= 10 else f"{cell:.2f}"
    return "" if cell is None else str(cell)


def machine() -> str:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = named[0] if named else model
    return f"{model}, {platform.system()}, Python {platform.python_version()}"
