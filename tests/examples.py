"""How many random cases a test tries: the whole suite all of them, the inner loop a tenth, an exploration ten times as many.

The inner loop is `pytest -m "not scene"`; `--hypothesis-profile=coldframe` or `explore` makes it try more. A case that fails in the
whole suite fails in each run of it: cases follow from the test alone, not from chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, TypeVar

import pytest
from hypothesis import settings

CASE = TypeVar("CASE")

WHOLE, FAST, EXPLORE = "coldframe", "fast", "explore"
_SHARES: Final = {WHOLE: Fraction(1), FAST: Fraction(1, 10), EXPLORE: Fraction(10)}
#: What a property tries that says nothing else.
_USUAL: Final = 200
#: What is tried at least.
_FEWEST: Final = 5


def examples(whole: int) -> int:
    """How many cases to try where the whole suite tries that many."""
    share = _SHARES.get(settings.get_current_profile_name(), Fraction(1))
    return max(int(whole * share), min(whole, _FEWEST))


def sample(cases: Sequence[CASE]) -> Sequence[CASE]:
    """Cases that cost a second each: all of them in the whole suite, a tenth of them in the inner loop, and at least the first."""
    share = _SHARES.get(settings.get_current_profile_name(), Fraction(1))
    return cases[: max(int(len(cases) * share), 1)]


def first(cases: Sequence[CASE]) -> Sequence[CASE]:
    """Cases that cost seconds each: all of them in the whole suite, the first in the inner loop."""
    return cases[:1] if settings.get_current_profile_name() == FAST else cases


def register() -> None:
    """Makes the profiles known to hypothesis and loads that of the whole suite."""
    for name, share in _SHARES.items():
        settings.register_profile(name, deadline=None, database=None, derandomize=name != EXPLORE, max_examples=int(_USUAL * share))
    settings.load_profile(WHOLE)


def choose(config: pytest.Config) -> None:
    """Loads the profile of the inner loop if scenes are left out and no other profile is asked for."""
    if "not scene" in config.option.markexpr and not config.getoption("--hypothesis-profile"):
        settings.load_profile(FAST)
