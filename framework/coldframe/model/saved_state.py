"""What a strategy may save: a small value made of None, bool, int, str, Decimal, and lists and dicts of these.

It is kept as the text that stands in the journal, so that nothing a plugin holds leads to it. What a view shows is made of that
text, and frozen: lists are tuples, dicts are `FrozenMapping`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs
import msgspec

from coldframe.text import shown

#: A saved value has at most so many bytes as JSON, and its lists and dicts are nested so deep at most.
STATE_BYTES: Final = 8_192
STATE_DEPTH: Final = 8
_INTS: Final = range(-(2**63), 2**63)
#: A Decimal is a dict with this one key in JSON; no key of a strategy's own begins like that.
_DECIMAL: Final = "$decimal"

SavedValue = None | bool | int | str | Decimal | Sequence["SavedValue"] | Mapping[str, "SavedValue"]


@attrs.frozen(eq=False, repr=False)
class FrozenMapping(Mapping[str, Any]):
    """A dict of a saved value as a view shows it: it cannot be changed, and equals a dict that holds the same."""

    _keys: tuple[str, ...]
    _values: tuple[Any, ...]

    def __getitem__(self, key: str) -> Any:
        place = bisect_left(self._keys, key) if isinstance(key, str) else len(self._keys)
        if place == len(self._keys) or self._keys[place] != key:
            raise KeyError(key)
        return self._values[place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return repr(dict(self))


def text_of(value: object) -> bytes:
    """A value to be saved, as JSON: the same text for the same value. Raises `ValueError` with what is wrong, and where in it."""
    text = msgspec.json.encode(_Walk().plain(value, "value", 0), order="sorted")
    if len(text) > STATE_BYTES:
        raise ValueError(f"value must have at most {STATE_BYTES} bytes as JSON, not {len(text)}")
    return text


def frozen_of(text: bytes) -> Any:
    """The value of a text, as a view shows it."""
    return _frozen(msgspec.json.decode(text))


class _Walk:
    """One walk over a value that may be of any type and size. No code of a type that is not one of ours is called."""

    def __init__(self) -> None:
        #: Every element has a byte of its own in the text, at least.
        self._left = STATE_BYTES

    def plain(self, value: Any, where: str, depth: int) -> object:
        """The value as plain JSON. Types are told by identity: a class of a plugin's own may compare as it likes."""
        self._count(1)
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if value in _INTS else _refuse(where, "a whole number of at most 64 bits", value)
        if kind is str:
            return self._text(value, where)
        if kind is Decimal:
            return self._number(value, where)
        listed, named = kind is list or kind is tuple, kind is dict or kind is FrozenMapping
        if not (listed or named):
            return _refuse(where, "None, a bool, int, str, Decimal, list or dict", value)
        if depth == STATE_DEPTH:
            raise ValueError(f"{_cut(where)} is too deep: lists and dicts have at most {STATE_DEPTH} levels")
        if listed:
            return [self.plain(part, f"{where}[{place}]", depth + 1) for place, part in enumerate(value)]
        return {self._key(key, where): self.plain(part, f"{where}[{key!r:.40}]", depth + 1) for key, part in value.items()}

    def _text(self, value: str, where: str) -> str:
        self._count(len(value))
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError(f"{_cut(where)} must be a text without surrogates")
        return value

    def _number(self, value: Decimal, where: str) -> object:
        if not value.is_finite():
            return _refuse(where, "a finite Decimal", value)
        text = str(value)
        self._count(len(text))
        return {_DECIMAL: text}

    def _key(self, key: object, where: str) -> str:
        if type(key) is not str or key.startswith("$"):
            raise ValueError(f"{_cut(where)} must have texts as keys that do not begin with $, not {shown(key)}")
        return self._text(key, where)

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ValueError(f"value must have at most {STATE_BYTES} bytes as JSON, and has more")


def _refuse(where: str, wanted: str, value: object) -> object:
    raise ValueError(f"{_cut(where)} must be {wanted}, not {shown(value)}")


def _cut(where: str) -> str:
    """The way to a part of a value, at a length that can be printed."""
    return where if len(where) <= 80 else f"{where[:77]}..."


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(part) for part in value)
    if not isinstance(value, dict):
        return value
    if value.keys() == {_DECIMAL}:
        return Decimal(value[_DECIMAL])
    keys = tuple(sorted(value))
    return FrozenMapping(keys, tuple(_frozen(value[key]) for key in keys))
