"""Texts from outside (file names, what a venue or a plugin says) as they may be shown to people."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

#: What a venue, or something on the way to it, may echo of a request: never to be shown, nor written down.
_ECHOED: Final = re.compile(r"(?i)(signature|api-?key|listen-?key)(\W{1,5})[\w%+/-]{8,}={0,2}")


def discreet(text: str) -> str:
    """The text without the values of keys and signatures that it repeats."""
    return _ECHOED.sub(r"\1\2...", text)


def printable(text: str) -> str:
    """The text with everything that moves a cursor or forges a line written out as an escape."""
    return "".join(ch if ch.isprintable() else f"\\x{ord(ch):02x}" for ch in text)


def class_name(value: object) -> str:
    """The name of a value's class, as it was written; no code of the class is asked for it."""
    name: str = type.__dict__["__name__"].__get__(type(value))
    return str.__str__(name)[:60]


def shown(value: object) -> str:
    """A value for people. Only what cannot hide anything is printed, all else is named by its class."""
    if type(value) is float:
        return f"the float {value!r}"
    # By identity: a class of a plugin's own may compare as it likes.
    plain = any(type(value) is kind for kind in (Decimal, int, bool, str, type(None)))
    return repr(value)[:40] if plain else f"a {class_name(value)}"
