"""`python -m tests.mutation --sample 300 --seed 1`: how many wrong branches and comparisons of the order side the tests notice.

First the tests run once, to learn which of them run which line and how long each takes. Then every mutant lives in a process of its
own, in which the tests that run its line run until one fails; those of its module go first, then the quickest, and what does not
fit into the budget is not run. A mutant that no test notices is printed. The
last line gives the share; exit code 1 when it is below what `--at-least` says. With `--sample 0` every mutant is tried.
"""

from __future__ import annotations

import argparse
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.trial import Trials

_CORE: Final = Path("framework/coldframe/core")
#: The order side: what decides about orders, fills, positions and risk.
_MODULES: Final = (
    "connectivity/api_session",
    "connectivity/latency_check",
    "connectivity/rate_limits",
    "connectivity/request_ways",
    "connectivity/rest_queue",
    "connectivity/user_stream",
    "execution/absence_proof",
    "execution/algo_orders",
    "execution/amending",
    "execution/closing_room",
    "execution/countdown_cancel",
    "execution/earlier_orders",
    "execution/execution_reports",
    "execution/inquiry",
    "execution/order_executor",
    "execution/order_requests",
    "execution/owed_fills",
    "execution/purposes",
    "execution/readings",
    "execution/rejects",
    "lifecycle/first_minutes",
    "lifecycle/kill_switch",
    "lifecycle/risk_rows",
    "lifecycle/shutdown",
    "marketdata/rotation",
    "reconciliation/account_settings",
    "reconciliation/asset_prices",
    "reconciliation/funding_income",
    "reconciliation/leverage_brackets",
    "reconciliation/open_orders",
    "reconciliation/order_side",
    "reconciliation/position_breaks",
    "reconciliation/rounds",
    "reconciliation/startup",
    "reconciliation/trade_scan",
    "risk/conditional_rules",
    "risk/pre_trade",
    "risk/reducing",
    "risk/self_trade",
    "risk/suspended",
    "state/asset_values",
    "state/engine_state",
    "state/external",
    "state/funding_split",
    "state/holdings",
    "state/leverage_caps",
    "state/loss_limits",
    "state/order",
    "state/orders",
    "state/position_history",
    "state/positions",
    "state/protection",
    "state/shares",
    "state/strategy_account",
    "state/trading_state",
    "strategies/contract_refresh",
    "strategies/desired_state",
    "strategies/desired_store",
    "strategies/dispatch",
    "strategies/intent_validation",
    "strategies/limit_strain",
    "strategies/loss_check",
    "strategies/planner",
    "strategies/runtime",
)
_TESTS: Final = ("tests/core", "tests/simulation", "tests/model")
#: Tests there that cost more than they notice: random worlds by the thousand, and those of the market side.
_LEFT_OUT: Final = (
    "tests/core/marketdata/test_book.py",
    "tests/core/marketdata/test_book_sync.py",
    "tests/core/connectivity/test_clock_offset.py",
    "tests/core/test_conditional_storms.py",
    "tests/core/marketdata/test_links.py",
    "tests/core/test_feed_adding.py",
    "tests/core/test_feed_rotation.py",
    "tests/core/marketdata/test_shards.py",
    "tests/core/marketdata/test_market.py",
    "tests/exchange/test_matching.py",
    "tests/core/test_recorded_books.py",
    "tests/core/connectivity/test_signing.py",
    "tests/simulation/test_bad_bytes.py",
    "tests/simulation/test_ends_random.py",
    "tests/simulation/test_misbehaviour.py",
    "tests/simulation/test_order_worlds.py",
    "tests/simulation/test_position_worlds.py",
    "tests/simulation/test_secrets.py",
)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--sample", type=int, default=300, help="how many mutants, drawn by the seed; 0 for all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="how many processes at once")
    parser.add_argument("--at-least", type=float, default=95.0, help="the share in percent below which the exit code is 1")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="how much longer a test may take than unchanged before it is ended"
    )
    parser.add_argument("--budget", type=float, default=20.0, help="seconds of tests for one mutant; what does not fit is not run")
    parser.add_argument("--only", action="append", help="only mutants whose printed line contains this text")
    parser.add_argument("--module", action="append", help="only these modules of core")
    parser.add_argument("--tests", action="append", help="only these tests")
    given = parser.parse_args(words)
    chosen = _chosen(given.module or _existing(), given.only or [""], given.sample, given.seed)
    trials = Trials(chosen, jobs=given.jobs, seconds=given.seconds, budget=given.budget)
    tests = given.tests or list(_TESTS)
    left_out = [] if given.tests else [f"--ignore={path}" for path in _LEFT_OUT]
    ended = pytest.main(["-q", "-n", "0", "-p", "no:randomly", "-p", "no:cacheprovider", *left_out, *tests], plugins=[trials])
    if ended not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not trials.tried:
        return 2
    return trials.report(given.at_least)


def _existing() -> list[str]:
    """The modules of the order side, wherever in core they are."""
    return [name for name in _MODULES if (_CORE / f"{name}.py").exists()]


def _chosen(modules: list[str], texts: list[str], sample: int, seed: int) -> list[Mutant]:
    every = [mutant for name in modules for mutant in mutants_of(_CORE / f"{name}.py")]
    every = [mutant for mutant in every if any(text in str(mutant) for text in texts)]
    return every if not sample else sorted(sorted(every, key=lambda mutant: _lot(mutant, seed))[:sample], key=str)


def _lot(mutant: Mutant, seed: int) -> bytes:
    """Draws by name: a change elsewhere in the code leaves the sample as it is."""
    return sha256(f"{seed} {mutant.name}".encode()).digest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
