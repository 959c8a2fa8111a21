"""`python -m tests.campaigns.positions --worlds 100000 --seed 1 --jobs 2`: worlds in which others change the account under the bot.

Each world is one seed: a bot and the embedded exchange in one loop on virtual time, beside an oracle of positions.
`tests.simulation.positionworlds` says what happens and what is checked. A violation names its seed; the same seed makes the same
world: `--worlds 1 --seed SEED`. Exit code 1 with violations.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from multiprocessing import get_context
from time import monotonic

from tests.simulation.positionworlds import Outcome, lived

#: How many worlds a process lives through before it hands their outcomes over.
_BATCH = 20


def main(arguments: list[str]) -> int:
    """Lives through the worlds, in as many processes as asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.positions", description=__doc__)
    parser.add_argument("--worlds", type=int, default=10_000, help="how many worlds")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the first one; the others follow")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes")
    parser.add_argument("--minutes", type=float, default=0, help="begin no more worlds after this time (0: no limit)")
    given = parser.parse_args(arguments)
    seeds = range(given.seed, given.seed + given.worlds)
    began = monotonic()
    if given.jobs == 1:
        return _told(map(lived, seeds), began, given.minutes)
    with get_context("spawn").Pool(given.jobs) as processes:
        return _told(processes.imap_unordered(lived, seeds, chunksize=_BATCH), began, given.minutes)


def _told(outcomes: Iterable[Outcome], began: float, minutes: float) -> int:
    """Writes every violation as it is found, and the sum at the end."""
    worlds = trades = of_others = restarts = refused = violated = 0
    for outcome in outcomes:
        worlds, trades, of_others = worlds + 1, trades + outcome.trades, of_others + outcome.of_others
        restarts, refused = restarts + outcome.restarts, refused + outcome.refused
        violated += bool(outcome.violations)
        for text in outcome.violations:
            sys.stdout.write(f"violated in world {outcome.seed}: {text}\n")
        if outcome.violations:
            sys.stdout.write(f"again: python -m tests.campaigns.positions --worlds 1 --seed {outcome.seed}\n")
            sys.stdout.flush()
        if minutes and monotonic() - began > 60 * minutes:
            break
    figures = f"{worlds} worlds in {monotonic() - began:.0f} s, {trades} trades of the bot, {of_others} of others"
    sys.stdout.write(f"positions: {figures}, {restarts} restarts, {refused} refused, {violated} worlds violated\n")
    return 1 if violated else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
