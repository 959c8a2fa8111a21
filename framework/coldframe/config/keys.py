"""Small helpers that make an attrs class a documented table of a configuration file."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs

#: Metadata key under which a field keeps its one-line description.
DOC = "doc"
#: Metadata key of a field that names a file relative to the configuration.
PATH = "path"

Check = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def key(doc: str, default: Any = attrs.NOTHING, *, check: Check | None = None, path: bool = False) -> Any:
    """One key of a table: what it means, its default (none makes it required), and a check of its value.

    A mutable default is given as a callable. With `path`, the value is a file name relative to the configuration file.
    """
    meta = {DOC: doc, PATH: path}
    if callable(default):
        return attrs.field(factory=default, validator=check, metadata=meta)
    return attrs.field(default=default, validator=check, metadata=meta)


def positive(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """Greater than zero (None, where allowed, passes)."""
    if value is not None and value <= 0:
        raise ValueError(f"must be greater than 0, not {value}")


def not_negative(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """Zero or greater (None, where allowed, passes)."""
    if value is not None and value < 0:
        raise ValueError(f"must not be negative, not {value}")


def between(low: int | Decimal, high: int | Decimal) -> Check:
    """Within both bounds, both included."""

    def check(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if value is not None and not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}, not {value}")

    return check


def one_of(*words: str) -> Check:
    """One of the given words."""

    def check(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}, not {value!r}")

    return check
