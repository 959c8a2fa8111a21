"""`python -m tests.simulation.golden [--lines WORLD | --write]`: see `tests.simulation.golden.log`."""

from __future__ import annotations

import argparse
import json
import sys

from tests.simulation.golden.log import SECONDS, STORED, WORLDS, digest, lines


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.golden", description="The golden effect log.")
    parser.add_argument("--lines", choices=sorted(WORLDS), help="print the log of one world")
    parser.add_argument("--write", action="store_true", help="store the digests")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="virtual seconds")
    given = parser.parse_args(words)
    if given.lines:
        for line in lines(given.lines, given.seconds):
            sys.stdout.write(f"{line}\n")
        return 0
    made = json.dumps({world: digest(lines(world, given.seconds)) for world in WORLDS}, indent=2) + "\n"
    sys.stdout.write(made)
    if given.write:
        STORED.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
