"""Exit codes: each has one meaning, the gravest of several stands, and the README says all of them."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

from coldframe import errors
from coldframe.errors import ColdframeError
from coldframe.exits import GRAVITY, MEANINGS, Exit, gravest

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def test_each_code_has_one_meaning_and_one_place() -> None:
    assert set(MEANINGS) == set(GRAVITY) == set(Exit)
    assert len(set(MEANINGS.values())) == len(GRAVITY) == len(Exit)


def test_every_error_ends_with_a_code_of_the_table() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ColdframeError)]
    assert {kind.exit_code for kind in kinds} <= set(Exit)


def test_the_gravest_stands() -> None:
    assert gravest([]) is Exit.DONE
    for first, second in permutations(GRAVITY, 2):
        assert gravest([first, second]) is min(first, second, key=GRAVITY.index)
    assert [int(code) for code in GRAVITY] == [1, 78, 77, 69, 75, 2, 3, 4, 5, 0]


def test_the_readme_says_all_of_them() -> None:
    rows = [f"| {code.value} | {MEANINGS[code]} |" for code in Exit]
    assert "\n".join(rows) in README
