"""Mutants: every branch and comparison is found once, and the code that comes of one differs there alone."""

from __future__ import annotations

from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from tests.mutation.mutants import code_of, mutants_of

MODULE = '''
LIMIT = 3 if True else 4


def graded(marks, strict):
    """Marks above the limit, and whether all are."""
    kept = [mark for mark in marks if mark > LIMIT]
    if strict and not kept:
        return None
    return [mark for mark in kept if good(mark)]


def good(mark):
    match mark:
        case 5:
            return False
        case other if bool(other):
            return True
    return False
'''


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "graded.py"
    path.write_text(MODULE)
    return path


def test_every_branch_and_comparison_is_a_mutant(module: Path) -> None:
    assert [(mutant.function, mutant.before, mutant.after) for mutant in mutants_of(module)] == [
        ("graded", "mark > LIMIT", "mark >= LIMIT"),
        ("graded", "if strict and (not kept):", "if not (strict and (not kept)):"),
        ("graded", "strict and (not kept)", "strict or not kept"),
        ("graded", "not kept", "kept"),
        ("graded", " for mark in kept if good(mark)", " for mark in kept if not good(mark)"),
        ("good", "case other if bool(other):", "case other if not bool(other):"),
    ]


@pytest.mark.parametrize(
    ("number", "result"), [(0, [3, 4]), (1, None), (2, None), (3, None), (4, [5]), (5, [])], ids=lambda value: str(value)
)
def test_a_mutant_is_wrong_in_its_own_place(module: Path, number: int, result: object) -> None:
    namespace: dict[str, Any] = {}
    exec(compile(MODULE, str(module), "exec"), namespace)
    assert namespace["graded"]([3, 4, 5], True) == [4]
    mutant = mutants_of(module)[number]
    function = namespace[mutant.function]
    assert isinstance(function, FunctionType)
    function.__code__ = code_of(mutant)
    assert namespace["graded"]([3, 4, 5], True) == result
