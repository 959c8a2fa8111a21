"""`python -m tests.simulation.cost [--write]`: see `tests.simulation.cost.figures`."""

from __future__ import annotations

import argparse
import json
import sys

from tests.simulation.cost.figures import RECORDED, dearer, far_below, measured, recorded, version

WRITE = "`python -m tests.simulation.cost --write` records the figures of this build"


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.cost", description="What a market message costs, counted.")
    parser.add_argument("--write", action="store_true", help="record the figures")
    write = parser.parse_args(words).write
    known, now = recorded(), measured()
    before = known.get(version(), {})
    for row, figures in now.items():
        told = [f"{what} {figure} ({before.get(row, {}).get(what, 'not recorded')})" for what, figure in figures.items()]
        sys.stdout.write(f"{row}: {', '.join(told)}\n")
    if write:
        RECORDED.write_text(json.dumps({**known, version(): now}, indent=2) + "\n", encoding="utf-8")
        return 0
    for line in far_below(before, now):
        sys.stdout.write(f"far below: {line}\n")
    for line in dearer(before, now):
        sys.stderr.write(f"more than a tenth above: {line}\n")
    if dearer(before, now):
        sys.stderr.write(f"Where that is meant, {WRITE}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
