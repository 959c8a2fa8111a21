"""Memory: the anonymous memory of the quickstart's bot and venue in one process, over an hour of virtual time, and its slope.

The slope is that of the straight line through the second half, when everything is there that is kept for good.

    python -m bench.memory              an hour of virtual time
    python -m bench.memory --hours 24   a day
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import linear_regression
from typing import Final

from tests.simulation.pump import Pump

from bench.rounds import arguments, machine, table
from bench.whole import ROOT

STEPS: Final = 24
#: MiB an hour, and MiB.
SLOPE_BAR: Final = 1.0
MEMORY_BAR: Final = 80.0
_ANONYMOUS: Final = re.compile(r"RssAnon:\s+(\d+) kB")


def anonymous_mib() -> float:
    """The anonymous memory of this process. Raises `SystemExit` where the system does not tell it."""
    status = Path("/proc/self/status")
    found = _ANONYMOUS.search(status.read_text(encoding="utf-8")) if status.is_file() else None
    if found is None:
        raise SystemExit("this system does not tell the anonymous memory of a process in /proc/self/status")
    gc.collect()
    return int(found[1]) / 1024


def lived(hours: float, steps: int) -> Iterator[tuple[float, float]]:
    """Virtual hours and anonymous memory. What the pump keeps for tests is forgotten, as a bot's goes to its journal."""
    pump = Pump.of_config(ROOT / "configs" / "quickstart.toml")
    for number in range(1, steps + 1):
        for _ in range(20):
            pump.run(hours * 3_600 / steps / 20)
            for kept in (pump.rows, pump.sent, pump.log, pump.venue.carried_out):
                kept.clear()
            pump.rows_safe = [0]
        yield hours * number / steps, anonymous_mib()


def slope(points: Sequence[tuple[float, float]]) -> float:
    """MiB an hour over the second half."""
    half = points[len(points) // 2 :]
    return linear_regression([at for at, _ in half], [mib for _, mib in half]).slope


def main(words: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--hours", type=float, default=1.0, help="virtual hours (1)")
    given = parser.parse_args(words)
    hours, steps = (0.002, 4) if given.quick else (given.hours, STEPS)
    points = []
    print(f"{machine()}; anonymous memory of the quickstart on virtual time")
    for at, mib in lived(hours, steps):
        points.append((at, mib))
        print(f"{at * 60:8.1f} min {mib:8.1f} MiB", flush=True)
    found = [("slope, MiB/h", slope(points), SLOPE_BAR), ("memory, MiB", points[-1][1], MEMORY_BAR)]
    print(table(["what", "figure", "bar", "ratio"], [[name, figure, bar, max(figure, 0.0) / bar] for name, figure, bar in found]))


if __name__ == "__main__":
    main()
