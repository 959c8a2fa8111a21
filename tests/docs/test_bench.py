"""The benchmarks run as their README prints them, here with little to do: what they measure is for people to read."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
LITTLE = {
    "bench/books.py": ["--events", "50"],
    "bench/columns.py": ["--rows", "2000", "--turns", "1"],
    "bench/decoding.py": ["--turns", "1"],
    "bench/hotpath.py": ["--messages", "200"],
    "bench/input_log.py": ["--rounds", "1"],
    "bench/risk.py": ["--turns", "1"],
}
#: The files of the folder that are run; the others are what these share.
RUN = {f"bench/{path.name}" for path in BENCH.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")}
COMMANDS = re.findall(r"^## `python (.+)`$", (BENCH / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_benchmark_is_described() -> None:
    assert set(COMMANDS) == set(LITTLE) == RUN


@pytest.mark.scene
@pytest.mark.parametrize("command", COMMANDS)
def test_it_compares_ways_in_one_run(command: str) -> None:
    line = [sys.executable, *shlex.split(command), *LITTLE[command]]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, cwd=BENCH.parent, check=False)
    assert done.returncode == 0, done.stderr
    figures = [float(figure) for figure in re.findall(r"(\d+\.\d+) us CPU per", done.stdout)]
    assert len(figures) >= 2
    assert all(figure > 0 for figure in figures)
    ratios = re.findall(r"^ratio\s+(\d+\.\d+)$", done.stdout, re.MULTILINE)
    assert ratios
