"""Small helpers that make an attrs class a documented table of a configuration file."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs

#: Metadata key under which a field keeps its one-line description.
DOC = "doc"
#: Metadata key of a field that names a file relative to the configuration.
PATH = "path"
#: Metadata key of a field that holds the reference to a secret: what stands there instead is never shown.
SECRET = "secret"

Check = Callable[[Any, "attrs.Attribute[Any]", Any], None]


class Unfit(ValueError):
    """A value that does not fit its key; `key` names it, the text says what would."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def key(doc: str, default: Any = attrs.NOTHING, *, check: Check | None = None, path: bool = False, secret: bool = False) -> Any:
    """One key of a table: what it means, its default (none makes it required), and a check of its value.

    A mutable default is given as a callable. With `path`, the value is a file name relative to the configuration file; with
    `secret`, it says where a secret is kept.
    """
    meta = {DOC: doc, PATH: path, SECRET: secret}
    if callable(default):
        return attrs.field(factory=default, validator=check, metadata=meta)
    return attrs.field(default=default, validator=check, metadata=meta)


def positive(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """Greater than zero (None, where allowed, passes)."""
    if value is not None and value <= 0:
        raise Unfit(field.name, f"must be greater than 0, not {value}")


def not_negative(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """Zero or greater (None, where allowed, passes)."""
    if value is not None and value < 0:
        raise Unfit(field.name, f"must not be negative, not {value}")


def between(low: int | Decimal, high: int | Decimal) -> Check:
    """Within both bounds, both included."""

    def check(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if value is not None and not low <= value <= high:
            raise Unfit(field.name, f"must be between {low} and {high}, not {value}")

    return check


def matching(pattern: re.Pattern[str], what: str) -> Check:
    """A text of a given form (None, where allowed, passes); `what` says in words which."""

    def check(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if value is not None and pattern.fullmatch(value) is None:
            raise Unfit(field.name, f"must be {what}, not {value!r}")

    return check


def one_of(*words: str) -> Check:
    """One of the given words (None, where allowed, passes)."""

    def check(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if value is not None and value not in words:
            raise Unfit(field.name, f"must be one of {', '.join(words)}, not {value!r}")

    return check


def each_a_number(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """A list of plain decimal numbers above 0, as texts, and not an empty one."""
    wrong = [text for text in value if not (text.isascii() and text.replace(".", "", 1).isdecimal() and Decimal(text) > 0)]
    if wrong or not value:
        raise Unfit(field.name, "must be a list of numbers above 0" + (f", not {wrong[0]!r}" if wrong else ""))


def each_of(*words: str) -> Check:
    """A list with nothing but the given words in it, and not an empty one."""

    def check(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
        wrong = [item for item in value if item not in words]
        if wrong or not value:
            raise Unfit(field.name, f"must name some of {', '.join(words)}" + (f", not {wrong[0]!r}" if wrong else ""))

    return check
