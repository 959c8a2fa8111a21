"""Startup: the CPU time of whole processes: importing the package, the help, and the check of a configuration, each beside its bar.

python -m bench.startup
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

from bench.rounds import arguments, interleaved, machine, table
from bench.whole import ROOT

#: Each process, and how many CPU seconds it may take.
PROCESSES: Final[dict[str, tuple[list[str], float | None]]] = {
    "python -c pass": (["-c", "pass"], None),
    "import coldframe": (["-c", "import coldframe"], 0.15),
    "coldframe --help": (["-m", "coldframe.cli", "--help"], 0.4),
    "coldframe check": (["-m", "coldframe.cli", "check", str(ROOT / "configs" / "quickstart.toml")], 0.4),
}


def cpu_s(words: Sequence[str]) -> float:
    """The CPU seconds of a Python process, from its beginning to its end."""
    before = _children_s()
    subprocess.run([sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return _children_s() - before


def _children_s() -> float:
    spent = os.times()
    return spent.children_user + spent.children_system


def main(words: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, rounds=9).parse_args(words)
    processes = dict(list(PROCESSES.items())[: 2 if given.quick else None])
    ways = {name: partial(cpu_s, line) for name, (line, _) in processes.items()}
    costs = interleaved(ways, 1 if given.quick else given.rounds)
    rows = [[name, costs[name], bar, costs[name] / bar if bar else None] for name, (_, bar) in processes.items()]
    print(f"{machine()}; CPU seconds of a process")
    print(table(["process", "s", "bar", "ratio"], rows))


if __name__ == "__main__":
    main()
