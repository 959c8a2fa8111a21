"""The table of faults is the one that the tests give, and every fault that a test names is in the catalogue."""

from __future__ import annotations

import pytest

from tests.faults.catalogue import CATALOGUE
from tests.faults.table import PAGE, page, shown


@pytest.mark.scene
def test_the_table_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.faults"


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len(set(CATALOGUE.values())) == len(CATALOGUE) == 167


def test_what_has_to_be_shown_is_shown_by_the_names_of_tests() -> None:
    """The order side is covered row by row: orders, rates, clock, and what kills a process or fills a disk."""
    found = shown(by_name=True)
    missing = [fault for fault in COVERED if not found[fault] and fault not in LATER]
    assert missing == []
    assert [fault for fault in LATER if found[fault]] == [], "no longer to come"


def test_what_was_shown_once_stays_shown() -> None:
    found = shown()
    assert [fault for fault in ELSEWHERE if not found[fault]] == []


def rows(letter: str, first: int, last: int) -> list[str]:
    return [f"{letter}{number}" for number in range(first, last + 1)]


#: What has to be shown whole.
COVERED = [
    *("N2", "N10"),
    *rows("O", 1, 40),
    *rows("R", 1, 7),
    *rows("C", 1, 6),
    *rows("P", 1, 18),
    *rows("G", 5, 11),
    *("G13", "G14"),
    *("S1", "S2", "S3"),
    *rows("S", 11, 14),
    *rows("W", 23, 25),
    *rows("X", 1, 4),
]
#: There is no bundle for bug reports that a secret could stand in.
LATER = ("X3",)
#: What else is shown by now.
ELSEWHERE = [
    *rows("N", 1, 13),
    *rows("W", 1, 22),
    *rows("B", 1, 12),
    *rows("G", 1, 4),
    "G12",
    *("S4", "S6", "S8", "S9", "X13", "X15", "X16", "X17", "X18"),
]
