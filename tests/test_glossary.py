"""The names of the code against docs/glossary.md: every folder listed, no word that is given up, no class name twice."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Set
from functools import cache
from pathlib import Path

import pytest

from tests.sources import nodes_of, text_of

ROOT = Path(__file__).resolve().parents[1]
GLOSSARY = ROOT / "docs/glossary.md"
PACKAGE = ROOT / "framework/coldframe"
SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
#: Where a function says to what it does something: what is called from everywhere is searched for by its name.
TESTS = sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")])
#: What tests mean by these words: the strategies that a pump is made with, the table of all faults, quotes at several prices.
OF_TESTS = {"trader", "traders", "catalogue", "ladder", "ladders"}
PARTS = ("core", "exchange", "exchange_server", "runtime", "trio_io")
NAMED = [path for part in PARTS for path in sorted((PACKAGE / part).rglob("*.py"))]


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
SAID = sorted({*GIVEN_UP, "gates", "gated", "brakes"} - PLAIN)
IN_TEXTS = re.compile(rf"\b({'|'.join(SAID)})\b", re.IGNORECASE)
#: All documents but the two that say what is given up, and the story of changes.
DOCUMENTS = [
    path
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    if path not in (GLOSSARY, ROOT / "CHANGELOG.md") and not path.name.startswith("081-")
]


@cache
def words_of(name: str) -> tuple[str, ...]:
    """The words of which a name is made: `_order_of_X`, `OrderOfX`."""
    return tuple(word.lower() for word in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+", name))


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


def nodes(source: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(source)))


def given_up(nodes: Iterable[ast.AST], kept: Set[str] = frozenset()) -> list[str]:
    """The names in nodes that are made of a word that is given up and not kept, each with what to say instead."""
    banned = GIVEN_UP.keys() - kept
    named = [(getattr(node, "lineno", 0), name) for node in nodes if (name := name_of(node)) is not None]
    return [f"{line}: {name}: say {GIVEN_UP[word]}" for line, name in named for word in words_of(name) if word in banned]


def prose_of(source: str) -> str:
    """The comments and docstrings of a module."""
    documented = [
        node for node in nodes(source) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return "\n".join([*comments_of(source), *(ast.get_docstring(node) or "" for node in documented)])


def comments_of(source: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def said_in(prose: str) -> list[str]:
    """The words in a text that are given up; what is quoted as code stands as it is."""
    return [match.group().lower() for match in IN_TEXTS.finditer(re.sub(r"`[^`]*`", "", prose))]


def words_said(path: Path) -> list[str]:
    """The words that are given up in what a file says to its reader."""
    source = text_of(path)
    if not stands_in(source, SAID) or not IN_TEXTS.search(source):
        return []
    return said_in(prose_of(source) if path.suffix == ".py" else source)


def stands_in(source: str, words: Iterable[str]) -> bool:
    """Whether any of these words stands in a text, be it within another one: only such a text is worth to be parsed."""
    lowered = source.lower()
    return any(word in lowered for word in words)


def bare_verbs(nodes: Iterable[ast.AST]) -> list[str]:
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [f"{function.lineno}: {function.name}" for function in functions if function.name.strip("_") in BARE]


def classes(modules: Iterable[str]) -> Counter[str]:
    """How often each class name is given in these sources: a line that begins with `class` and has a body."""
    return Counter(name for source in modules for name in re.findall(r"^[ \t]*class (\w+)(?=[(:\[])", source, re.MULTILINE))


def breaking(paths: Iterable[Path], found_in: Callable[[Path], list[str]]) -> dict[str, list[str]]:
    """The files in which something is found, and what."""
    return {str(path.relative_to(ROOT)): found for path in paths if (found := found_in(path))}


@pytest.mark.parametrize(("paths", "kept"), [(SOURCES, set[str]()), (TESTS, OF_TESTS)], ids=["sources", "tests"])
def test_no_name_uses_a_word_that_is_given_up(paths: list[Path], kept: set[str]) -> None:
    read = [path for path in paths if stands_in(text_of(path), GIVEN_UP.keys() - kept)]
    assert breaking(read, lambda path: given_up(nodes_of(path), kept)) == {}
    assert [path for path in paths for word in words_of(path.stem) if word in GIVEN_UP.keys() - kept] == []


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
    assert len(given_up(nodes(source))) == count


def test_a_word_that_tests_keep_is_not_found() -> None:
    assert given_up(nodes("class Trader: ..."), OF_TESTS) == []
    assert len(given_up(nodes("def test_the_brake_holds(trader): ..."), OF_TESTS)) == 1


def test_no_text_uses_a_word_that_is_given_up() -> None:
    assert breaking([*SOURCES, *TESTS, *(ROOT / "docs").rglob("*.py"), *DOCUMENTS], words_said) == {}


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


def test_verbs_of_engine_exchange_and_wiring_have_an_object() -> None:
    read = [path for path in NAMED if re.search(rf"def _*({'|'.join(BARE)})_*\(", text_of(path))]
    assert breaking(read, lambda path: bare_verbs(nodes_of(path))) == {}


def test_a_bare_verb_is_found() -> None:
    assert bare_verbs(nodes("def _look(): ...\nasync def take(): ...\ndef look_up(): ...")) == ["1: _look", "2: take"]


def test_no_class_name_stands_twice() -> None:
    counted = classes(text_of(path) for path in PACKAGE.rglob("*.py"))
    assert {name for name, count in counted.items() if count > 1} == TWICE


def test_a_class_name_that_stands_twice_is_found() -> None:
    assert classes(["class A: ...", "def f():\n    class A(B[int]): ..."])["A"] == 2


def test_every_folder_is_in_the_glossary() -> None:
    folders = {str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("__init__.py")} - {"."}
    assert {cell.strip("`") for cell, _ in rows("Folders")} == folders
