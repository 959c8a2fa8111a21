"""Which test shows which fault, read off the tests themselves: from their names, and from the first line of their docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from tests.faults.catalogue import CATALOGUE

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "faults.md"
_IN_NAME: Final = re.compile(r"test((?:_[nwborcpgsxi]\d{1,2})+)_")
_IN_TEXT: Final = re.compile(r"\b[NWBORCPGSX]\d{1,2}\b")
_GROUPS: Final = {
    "N": "Network",
    "W": "Wire",
    "B": "Books and market data",
    "O": "Orders",
    "R": "Rate limits",
    "C": "Clock",
    "P": "Process, journal, disk",
    "G": "Configuration",
    "S": "Plugins",
    "X": "Secrets, dashboard, supply chain",
}
_HEAD: Final = """# Faults and the tests that show them

What a trading runtime has to survive, and the test that shows that this one does. The table is read off the tests: each of them
carries the fault in its name or in its docstring. `python -m tests.faults` writes this page anew, and a test compares it.
"""


def shown(*, by_name: bool = False) -> dict[str, list[str]]:
    """By fault, the tests that show it, as `path::name`; `by_name`: only those that carry it in their names."""
    found: dict[str, list[str]] = {fault: [] for fault in CATALOGUE}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, faults in _faults_in(path, by_name=by_name):
            for fault in faults:
                found[fault].append(f"{path.relative_to(ROOT / 'tests').as_posix()}::{name}")
    return found


def _faults_in(path: Path, *, by_name: bool) -> Iterator[tuple[str, list[str]]]:
    for name, line in _tests_in(path):
        named = _IN_NAME.match(name)
        # Invariants (I1 to I14) stand in names as well, and do not count as faults.
        faults = [part.upper() for part in named[1].strip("_").split("_") if part[0] != "i"] if named else []
        faults += [word for word in _IN_TEXT.findall(line) if word in CATALOGUE and not by_name]
        yield name, list(dict.fromkeys(faults))


@cache
def _tests_in(path: Path) -> list[tuple[str, str]]:
    """The tests of a file: their names, and the first lines of their docstrings."""
    return [
        (node.name, (ast.get_docstring(node) or "").partition("\n")[0])
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def page() -> str:
    """The whole document."""
    found = shown()
    covered = sum(1 for tests in found.values() if tests)
    lines = [_HEAD, f"{covered} of {len(CATALOGUE)} faults are shown by a test.", ""]
    for letter, title in _GROUPS.items():
        lines += [f"## {title}", "", "| fault | what happens | shown by |", "|---|---|---|"]
        for fault, text in CATALOGUE.items():
            if fault[0] == letter:
                tests = ", ".join(f"`{row}`" for row in found[fault][:3]) or "not yet"
                more = f" and {len(found[fault]) - 3} more" if len(found[fault]) > 3 else ""
                lines.append(f"| {fault} | {text} | {tests}{more} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"
