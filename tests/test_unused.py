"""Dead code goes: each function, method and class is used by the framework, its plugins, its benchmarks or its documents.

What only tests use is dead as well: a test that needs to look somewhere looks there itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import coldframe

FRAMEWORK = Path(coldframe.__file__).parent
ROOT = FRAMEWORK.parents[1]
#: What authors of plugins use, and nothing here does (`coldframe`, `coldframe.testing`); `_missing_` is called by `enum`.
FOR_OTHERS: Final = frozenset(
    {
        "StrategyBench",
        "lose_book",
        "take_away",
        "known_to",
        "micro_price",
        "shuffle",
        "uniform",
        "_missing_",
        "get_code",
    }
)


def trees(*folders: Path) -> Iterator[ast.Module]:
    for folder in folders:
        for path in folder.rglob("*.py"):
            yield ast.parse(path.read_text(encoding="utf-8"))


def defined(tree: ast.AST) -> Iterator[str]:
    """The functions, methods and classes of a module; special methods are called by Python itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("__"):
            yield node.name


def named(tree: ast.AST) -> Iterator[str]:
    """Every name that a module uses, also in a text: hooks and verbs are looked up by theirs."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.alias(name=name):
                yield name.rpartition(".")[2]
            case ast.Constant(value=str(text)):
                yield text
            case _:
                pass  # nothing else names anything


def unused(sources: list[ast.Module], users: list[ast.Module]) -> set[str]:
    definitions = {name for tree in sources for name in defined(tree)}
    return definitions - {name for tree in [*sources, *users] for name in named(tree)}


@pytest.mark.scene
def test_nothing_is_there_for_tests_alone() -> None:
    users = list(trees(ROOT / "plugins", ROOT / "bench", ROOT / "docs"))
    assert unused(list(trees(FRAMEWORK)), users) == FOR_OTHERS


def test_a_name_that_nothing_uses_is_found() -> None:
    source = ast.parse("class Used:\n    def used(self): ...\n    def dead(self): ...\ndef called(): Used().used()\nx = 'called'")
    assert unused([source], []) == {"dead"}
    assert unused([source], [ast.parse("thing.dead()")]) == set()
