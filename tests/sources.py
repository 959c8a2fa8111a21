"""The project's own files as tests look at them.

Each is read once in a process, and parsed each time: to keep a thousand trees makes every collection of garbage walk through them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path


@cache
def text_of(path: Path) -> str:
    """What stands in a file that does not change while tests run."""
    return path.read_text(encoding="utf-8")


def tree_of(path: Path) -> ast.Module:
    """The same as Python reads it."""
    return ast.parse(text_of(path))


def nodes_of(path: Path) -> Iterator[ast.AST]:
    """All nodes of that tree."""
    return ast.walk(tree_of(path))
