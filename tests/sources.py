"""The project's own files as tests look at them: each read and parsed once in a process."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def text_of(path: Path) -> str:
    """What stands in a file that does not change while tests run."""
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    """The same as Python reads it; not to be changed."""
    return ast.parse(text_of(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of that tree."""
    return tuple(ast.walk(tree_of(path)))


def forget() -> None:
    """Drops what has been read and parsed."""
    for kept in (text_of, tree_of, nodes_of):
        kept.cache_clear()
