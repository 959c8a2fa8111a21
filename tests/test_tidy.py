"""The run rules that a machine can check: sizes, the one clock, the two fences, nothing left lying about."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*(ROOT / "framework").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
EVERYTHING = sorted([*SOURCES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py"), *(ROOT / "docs").rglob("*.py")])
TEXTS = [
    *EVERYTHING,
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "configs").glob("*.toml"),
    ROOT / "pyproject.toml",
]

#: What knows no I/O, no clock and no chance; an import contract says the same of what it imports.
PURE = [
    path
    for folder in ("wire", "model", "core", "exchange")
    for path in sorted((ROOT / "framework/coldframe" / folder).rglob("*.py"))
]
#: Only this module may read a clock, and only these may print or catch everything.
CLOCK = ROOT / "framework/coldframe/trio_io/clock.py"
FENCES = {f"framework/coldframe/{file}": 1 for file in ("plug/fence.py", "cli.py", "exchange_server/links/http_server.py")}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", EVERYTHING, ids=name)
def test_files_stay_under_500_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("path", EVERYTHING, ids=name)
def test_functions_stay_under_60_lines(path: Path) -> None:
    long = [
        function.name for function in functions(ast.parse(path.read_text())) if (function.end_lineno or 0) - function.lineno >= 60
    ]
    assert not long


def test_most_functions_are_short() -> None:
    sizes = [
        (function.end_lineno or 0) - function.lineno + 1 for path in SOURCES for function in functions(ast.parse(path.read_text()))
    ]
    assert sum(size <= 25 for size in sizes) / len(sizes) > 0.9


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_modules_and_public_things_say_what_they_are(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "no module docstring"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_one_module_reads_clocks(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    asked = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & {"utcnow", "today", "perf_counter"}
    assert path == CLOCK or not ("time" in imported or asked)


@pytest.mark.parametrize("path", PURE, ids=name)
def test_what_is_pure_waits_for_nothing_and_opens_nothing(path: Path) -> None:
    """The import contract cannot see these: coroutines, and what the language opens without an import."""
    tree = ast.parse(path.read_text())
    waits = [node for node in ast.walk(tree) if isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.AsyncWith, ast.AsyncFor))]
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not waits
    assert not called & {"open", "input", "__import__", "exec", "eval"}


def test_every_folder_of_modules_is_a_package() -> None:
    """Import contracts do not see what lies in a folder without `__init__.py`; a folder with nothing else is a leftover."""
    inside: dict[Path, set[str]] = {}
    for path in SOURCES:
        inside.setdefault(path.parent, set()).add(path.name)
    roots = {ROOT / "framework", ROOT / "plugins"}
    assert not [name(folder) for folder, files in inside.items() if folder not in roots and "__init__.py" not in files]
    assert not [name(folder) for folder, files in inside.items() if files == {"__init__.py"} and not any(folder.glob("*/*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_only_the_command_line_prints(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    printing = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]
    assert path.name == "cli.py" or not printing


def catches_everything(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException")) for kind in kinds)


def reraises(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None


def test_there_are_three_fences() -> None:
    found: dict[str, int] = {}
    for path in SOURCES:
        handlers = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ExceptHandler)]
        broad = [handler for handler in handlers if catches_everything(handler) and not reraises(handler)]
        if broad:
            found[name(path)] = len(broad)
    assert found == FENCES


@pytest.mark.parametrize("path", [text for text in TEXTS if text != Path(__file__)], ids=name)
def test_nothing_is_left_lying_about(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
    assert not re.search(r"(/home/|/root/|/tmp/|/work/|C:\\\\)", text), "a path of a machine"
    assert not re.search(r"https?://[\w.-]*(pypi|pythonhosted|npmjs|simple/)", text), "an address of a registry"


def test_no_banned_module_names() -> None:
    banned = {"client", "manager", "handler", "utils", "helpers", "data", "common", "base"}
    assert not [name(path) for path in SOURCES if path.stem in banned]


@pytest.mark.parametrize("path", EVERYTHING, ids=name)
def test_loop_variables_name_what_they_run_through(path: Path) -> None:
    tree = ast.parse(path.read_text())
    targets = [node.target for node in ast.walk(tree) if isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension))]
    assert not [target.lineno for target in targets if isinstance(target, ast.Name) and target.id == "one"]
