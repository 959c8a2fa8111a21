"""`python -m tests.mutation --sample 300 --seed 1`: how many wrong branches and comparisons of the order side the tests notice.

First the tests run once, to learn which of them run which line and how long each takes. Then every mutant lives in a process of its
own, in which the tests that run its line run until one fails; the quickest go first. A mutant that no test notices is printed. The
last line gives the share; exit code 1 when it is below what `--at-least` says. With `--sample 0` every mutant is tried.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.trial import Trials

_CORE: Final = Path("framework/coldframe/core")
#: The order side: what decides about orders, fills, positions and risk.
_MODULES: Final = (
    "account",
    "asking",
    "balance",
    "brackets",
    "conditional",
    "crossing",
    "deadman",
    "desires",
    "desk",
    "ending",
    "evidence",
    "foreign",
    "funding",
    "halting",
    "halts",
    "handover",
    "latches",
    "losses",
    "lossguard",
    "mismatch",
    "orders",
    "owedfills",
    "positions",
    "proof",
    "protection",
    "quotes",
    "reconcile",
    "rejects",
    "risk",
    "session",
    "startcheck",
    "strain",
    "strategies",
    "takeover",
    "trading",
    "triggers",
    "userstream",
    "wishes",
)
_TESTS: Final = ("tests/core", "tests/simulation", "tests/model")


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--sample", type=int, default=300, help="how many mutants, drawn by the seed; 0 for all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="how many processes at once")
    parser.add_argument("--at-least", type=float, default=95.0, help="the share in percent below which the exit code is 1")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="how much longer a test may take than unchanged before it is ended"
    )
    parser.add_argument("--module", action="append", help="only these modules of core")
    parser.add_argument("--tests", action="append", help="only these tests")
    given = parser.parse_args(words)
    chosen = _chosen(given.module or _existing(), given.sample, given.seed)
    trials = Trials(chosen, jobs=given.jobs, seconds=given.seconds)
    tests = given.tests or list(_TESTS)
    ended = pytest.main(["-q", "-n", "0", "-p", "no:randomly", "-p", "no:cacheprovider", *tests], plugins=[trials])
    if ended not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not trials.tried:
        return 2
    return trials.report(given.at_least)


def _existing() -> list[str]:
    """The modules of the order side, wherever in core they are."""
    return [name for name in _MODULES if (_CORE / f"{name}.py").exists()]


def _chosen(modules: list[str], sample: int, seed: int) -> list[Mutant]:
    every = [mutant for name in modules for mutant in mutants_of(_CORE / f"{name}.py")]
    return every if not sample else sorted(Random(seed).sample(every, min(sample, len(every))), key=str)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
