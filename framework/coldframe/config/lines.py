"""Where in a TOML text each key stands, so that an error can name file and line.

The parser of the language keeps no places, so this reads the text once more: table headers, keys, and enough of values (strings,
brackets) to know where the next key begins. Keys inside an inline table are found at the line of the table.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

Path = tuple[str | int, ...]

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART: Final = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


@attrs.define
class _Value:
    """What a value that may span lines still needs before it ends: a closing quote, closing brackets."""

    quote: str = ""
    depth: int = 0

    @property
    def open(self) -> bool:
        return bool(self.quote) or self.depth > 0

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            if self.quote:
                end = text.find(self.quote, at)
                if end < 0:
                    self.quote = self.quote if len(self.quote) == 3 else ""
                    return
                at, self.quote = end + len(self.quote), ""
                continue
            char = text[at]
            if char == "#":
                return
            if char in "\"'":
                self.quote = char * 3 if text.startswith(char * 3, at) else char
                at += len(self.quote)
                continue
            self.depth += (char in "[{") - (char in "]}")
            at += 1


def lines_of(text: str) -> dict[Path, int]:
    """Line number (from 1) of every table and key, by its path: `("strategies", 0, "id")`."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    value = _Value()
    for number, line in enumerate(text.splitlines(), 1):
        if value.open:
            value.feed(line)
            continue
        header = _HEADER.match(line)
        if header and not _KEY.match(line):
            table = _open_table(header[2], header[1] == "[[", counts)
            lines.setdefault(table, number)
            continue
        found = _KEY.match(line)
        if found:
            lines.setdefault(table + _parts(found[1]), number)
            value = _Value()
            value.feed(line[found.end() :])
    return lines


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of a path, or of the nearest thing around it that has one; 1 at worst."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 1


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
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
