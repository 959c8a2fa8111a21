"""The names of the code against docs/glossary.md: every folder listed, no word that is given up, no class name twice."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator, Set
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GLOSSARY = ROOT / "docs/glossary.md"
PACKAGE = ROOT / "framework/coldframe"
SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
#: Where a function says to what it does something: what is called from everywhere is searched for by its name.
TESTS = sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")])
#: What tests mean by these words: the strategies that a pump is made with, the table of all faults, quotes at several prices.
OF_TESTS = {"trader", "traders", "catalogue", "ladder", "ladders"}
SIDES = [path for side in ("core", "exchange", "exchange_server") for path in sorted((PACKAGE / side).rglob("*.py"))]


def rows(heading: str) -> list[tuple[str, str]]:
    """First and last cell of each row of the table under a heading."""
    part = GLOSSARY.read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    return [(cells[0].strip(), cells[-1].strip()) for cells in lines[2:]]


GIVEN_UP = {word: say for cell, say in rows("Words that are given up") for word in cell.split(", ")}
TWICE = {name for cell, _ in rows("Names that stand twice") for name in re.findall(r"`(\w+)`", cell)}
BARE = set(re.findall(r"`(\w+)`", next(line for line in GLOSSARY.read_text().splitlines() if line.startswith("A function of"))))

#: Given up as names; in a sentence they have another meaning, or are old names that files and settings keep.
PLAIN = {
    *(
        "board",
        "floors",
        "claim",
        "claimed",
        "unclaimed",
        "stray",
        "strays",
        "evidence",
        "house",
        "course",
        "shell",
        "shells",
        "slot",
    ),
    *("catalogue", "temper", "crowd", "dealer", "office", "ladder", "trader", "traders", "tape", "ledger", "pulse", "desire"),
}
IN_TEXTS = re.compile(rf"\b({'|'.join(sorted({*GIVEN_UP, 'gates', 'gated', 'brakes'} - PLAIN))})\b", re.IGNORECASE)
#: All documents but the two that say what is given up, and the story of changes.
DOCUMENTS = [
    path
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    if path not in (GLOSSARY, ROOT / "CHANGELOG.md") and not path.name.startswith("081-")
]


def words_of(name: str) -> list[str]:
    """The words of which a name is made: `_order_of_X`, `OrderOfX`."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+", name)]


def name_of(node: ast.AST) -> str | None:
    """The name that a node gives to something."""
    match node:
        case ast.ClassDef(name) | ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.arg(name):
            return name
        case ast.Name(name, ast.Store()) | ast.Attribute(_, name, ast.Store()) | ast.MatchAs(_, str(name)):
            return name
        case ast.alias(_, str(name)):
            return name
        case _:
            return None


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def given_up(tree: ast.AST, kept: Set[str] = frozenset()) -> list[str]:
    """The names in a tree that are made of a word that is given up and not kept, each with what to say instead."""
    banned = GIVEN_UP.keys() - kept
    named = [(getattr(node, "lineno", 0), name) for node in ast.walk(tree) if (name := name_of(node)) is not None]
    return [f"{line}: {name}: say {GIVEN_UP[word]}" for line, name in named for word in words_of(name) if word in banned]


def prose_of(source: str) -> str:
    """The comments and docstrings of a module."""
    nodes = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return "\n".join([*comments, *(ast.get_docstring(node) or "" for node in nodes)])


def said_in(prose: str) -> list[str]:
    """The words in a text that are given up; what is quoted as code stands as it is."""
    return [match.group().lower() for match in IN_TEXTS.finditer(re.sub(r"`[^`]*`", "", prose))]


def bare_verbs(tree: ast.AST) -> list[str]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [f"{function.lineno}: {function.name}" for function in functions if function.name.strip("_") in BARE]


def classes(trees: Iterator[ast.AST]) -> Counter[str]:
    return Counter(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_uses_a_word_that_is_given_up(path: Path) -> None:
    assert [word for word in words_of(path.stem) if word in GIVEN_UP] == []
    assert given_up(tree_of(path)) == []


def test_names_of_tests_use_no_word_that_is_given_up() -> None:
    found = {str(path.relative_to(ROOT)): given_up(tree_of(path), OF_TESTS) for path in TESTS}
    assert {path: names for path, names in found.items() if names} == {}
    assert [path for path in TESTS for word in words_of(path.stem) if word in GIVEN_UP.keys() - OF_TESTS] == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("class Desk: ...", 1),
        ("class OrderDesk: ...", 1),
        ("def order_of_brake(): ...", 1),
        ("async def _claim(self, sentinel): ...", 2),
        ("self._evidence = house = 1", 2),
        ("match event:\n    case Fill() as wish: ...", 1),
        ("import a as shells", 1),
        ("class Deskside: ...\ndef embraced(description, happy): ...", 0),
        ("self.reports.brake()", 0),
    ],
)
def test_a_word_that_comes_back_is_found(source: str, count: int) -> None:
    assert len(given_up(ast.parse(source))) == count


def test_a_word_that_tests_keep_is_not_found() -> None:
    assert given_up(ast.parse("class Trader: ..."), OF_TESTS) == []
    assert len(given_up(ast.parse("def test_the_brake_holds(trader): ..."), OF_TESTS)) == 1


def test_no_text_uses_a_word_that_is_given_up() -> None:
    texts = {path: prose_of(path.read_text(encoding="utf-8")) for path in [*SOURCES, *TESTS, *(ROOT / "docs").rglob("*.py")]}
    texts |= {path: path.read_text(encoding="utf-8") for path in DOCUMENTS}
    assert {str(path.relative_to(ROOT)): words for path, prose in texts.items() if (words := said_in(prose))} == {}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('"""The gate."""', ["gate"]),
        ("x = 1  # Wishes lapse, it is latched", ["wishes", "latched"]),
        ('class A:\n    """A stranger\n    brakes."""', ["stranger", "brakes"]),
        ('x = "gate"', []),
        ('"""Gateways delegate; `gate` is a row, the evidence is in a shell."""', []),
    ],
)
def test_a_word_that_comes_back_in_a_text_is_found(source: str, words: list[str]) -> None:
    assert said_in(prose_of(source)) == words


@pytest.mark.parametrize("path", SIDES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_verbs_of_engine_and_exchange_have_an_object(path: Path) -> None:
    assert bare_verbs(tree_of(path)) == []


def test_a_bare_verb_is_found() -> None:
    assert bare_verbs(ast.parse("def _look(): ...\nasync def take(): ...\ndef look_up(): ...")) == ["1: _look", "2: take"]


def test_no_class_name_stands_twice() -> None:
    counted = classes(tree_of(path) for path in PACKAGE.rglob("*.py"))
    assert {name for name, count in counted.items() if count > 1} == TWICE


def test_a_class_name_that_stands_twice_is_found() -> None:
    assert classes(iter([ast.parse("class A: ..."), ast.parse("def f():\n    class A: ...")]))["A"] == 2


def test_every_folder_is_in_the_glossary() -> None:
    folders = {str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("__init__.py")} - {"."}
    assert {cell.strip("`") for cell, _ in rows("Folders")} == folders
