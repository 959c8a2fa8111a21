"""Where in a TOML text each key stands, so that an error can name file and line.

The parser of the language keeps no places, so this reads the text once more, statement by statement: table headers, keys, and
enough of values (strings, brackets, comments) to know where the next statement begins. Keys inside an inline table are found at
the line of the table. The text has to be TOML: the parser has been asked before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import tomli

Path = tuple[str | int, ...]

#: What decides whether a line break ends a statement: it does outside of strings and brackets. A comment hides both.
_TOKEN: Final = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|[\[\]{}\n]''', re.DOTALL
)
_PART: Final = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")
_DOTTED: Final = rf"((?:{_PART.pattern})(?:\s*\.\s*(?:{_PART.pattern}))*)"
_HEADER: Final = re.compile(rf"\s*(\[\[?)\s*{_DOTTED}\s*\]")
_KEY: Final = re.compile(rf"\s*{_DOTTED}\s*=")


def lines_of(text: str) -> dict[Path, int]:
    """Line number (from 1) of every table and key, by its path: `("strategies", 0, "id")`.

    A table that is only named on the way to another one stands where it is named first.
    """
    lines: dict[Path, int] = {}
    named: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, statement in _statements(text):
        if header := _HEADER.match(statement):
            path = table = _open_table(header[2], header[1] == "[[", counts)
        elif key := _KEY.match(statement):
            path = table + _parts(key[1])
        else:
            continue
        lines[path] = number
        for end in range(1, len(path)):
            named.setdefault(path[:end], number)
    return named | lines


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of a path, or of the nearest thing around it that has one; 1 at worst."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 1


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Every statement with the number of its first line; empty ones and comments among them."""
    begin = depth = 0
    number = 1
    for token in _TOKEN.finditer(text + "\n"):
        mark = token[0]
        depth += (mark in ("[", "{")) - (mark in ("]", "}"))
        if mark == "\n" and depth == 0:
            statement = text[begin : token.start()]
            yield number, statement
            number += statement.count("\n") + 1
            begin = token.end()


def _open_table(name: str, array: bool, counts: dict[Path, int]) -> Path:
    """The path of a header, with the number of the array element that each part of it stands for."""
    path: Path = ()
    parts = _parts(name)
    for position, part in enumerate(parts):
        path = (*path, part)
        if array and position == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _parts(dotted: str) -> Path:
    """The parts of a dotted key; one in double quotes may hold escapes, which are the parser's business."""
    found = _PART.findall(dotted)
    return tuple(tomli.loads(f"key = {part}")["key"] if part[0] in "\"'" else part for part in found)
