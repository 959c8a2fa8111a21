"""`python -m tests.campaigns.orders --worlds 100000 --seed 1`: worlds in which everything about orders goes wrong.

Each world is one seed: a bot and the embedded exchange in one loop on virtual time. `tests.simulation.orderworlds` says what goes
wrong and what is checked. A violation names its seed; the same seed makes the same world. Exit code 1 with violations.
"""

from __future__ import annotations

import argparse
import sys

from tests.simulation.orderworlds import lived

#: After so many worlds stderr tells how far it is.
PROGRESS = 1_000


def main(arguments: list[str]) -> int:
    """Lives through the worlds, one after another."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.orders", description=__doc__)
    parser.add_argument("--worlds", type=int, default=10_000, help="how many worlds")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the first one; the others follow")
    given = parser.parse_args(arguments)
    orders = conditional = hidden = returned = violations = 0
    for seed in range(given.seed, given.seed + given.worlds):
        outcome = lived(seed)
        orders, conditional = orders + outcome.orders, conditional + outcome.conditional
        hidden, returned = hidden + outcome.hidden, returned + outcome.returned
        violations += len(outcome.violations)
        for text in outcome.violations:
            sys.stdout.write(f"violated in world {seed}: {text}\n")
            sys.stdout.flush()
        lived_through = seed - given.seed + 1
        if lived_through % PROGRESS == 0:
            sys.stderr.write(f"{lived_through} worlds, {violations} violations\n")
    figures = f"{given.worlds} worlds, {orders} orders ({conditional} conditional), {hidden} hidden, {returned} came back"
    sys.stdout.write(f"orders: {figures}, {violations} violations\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
