"""JSON read strictly: any bytes are a value or a `DecodeError`, whatever stands in them.

Refused are broken text, a key that stands twice in one object, a number that cannot be held exactly within bounds, and nesting so
deep that handling the value later could exhaust the stack. Nothing here costs more than time and memory proportional to the bytes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from functools import cache
from typing import Any, Final, TypeVar

import msgspec

from coldframe.errors import DecodeError

#: How deep arrays and objects may stand in each other where no class says how deep: far more than the venue ever uses.
MOST_NESTED: Final = 64
#: The classes of plain values that hold others.
NESTING: Final = (dict, list)
#: Bounds of a bare fraction: digits that it may be written with, the largest value, the smallest power of ten of its first digit.
#: Whatever a double precision number can hold is inside them.
_MOST_DIGITS: Final = 64
_LARGEST: Final = Decimal("1.7976931348623157e308")
_SMALLEST_POWER: Final = -400
#: Up to this length a number without an exponent is inside all of them.
_SHORT: Final = 32

_T = TypeVar("_T")
_ANYTHING: Final = msgspec.json.Decoder()
_FRACTION: Final = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,4}))?")
_KEY_END: Final = re.compile(rb'"[ \t\r\n]+:')
_TOO_DEEP: Final = "nested too deeply"


def run(decoder: msgspec.json.Decoder[Any], payload: bytes) -> Any:
    """What `decoder` makes of `payload`. Raises `DecodeError` and nothing else."""
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecodeError(str(error), payload) from None
    except RecursionError:
        raise DecodeError(_TOO_DEEP, payload) from None


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def read_as(kind: type[_T], payload: bytes) -> _T:
    """JSON as a value of a class other than the messages of the venue. Raises `DecodeError`."""
    anything: Any = kind
    value: _T = run(_decoder(anything), payload)
    return value


def loosely(payload: bytes) -> Any:
    """JSON as plain values, quickly: of doubled keys the last one counts, and fractions are floats. Raises `DecodeError`."""
    return run(_ANYTHING, payload)


def strictly(payload: bytes) -> Any:
    """JSON as plain values, with fractions as exact `Decimal`. Raises `DecodeError`.

    Slow: for what has no class, and for what a class did not take.
    """
    loosely(payload)
    try:
        value = json.loads(payload, object_pairs_hook=_no_doubles, parse_float=fraction)
        check_depth(value)
    except ValueError as error:
        raise DecodeError(str(error), payload) from None
    except RecursionError:
        raise DecodeError(_TOO_DEEP, payload) from None
    return value


def fraction(text: str) -> Decimal:
    """A number in JSON that has a point or an exponent, exactly. Raises `ValueError` for one that is out of bounds.

    The bounds keep later arithmetic, and printing in plain digits, within reason: `1e-99999999999999999999` is not even a number
    for `Decimal`, and `1e999999` takes a megabyte to print.
    """
    if len(text) <= _SHORT and "e" not in text and "E" not in text:
        return Decimal(text)
    match = _FRACTION.fullmatch(text)
    if match is not None and len(match[1]) + len(match[2] or "") <= _MOST_DIGITS:
        value = Decimal(text)
        if value.copy_abs() <= _LARGEST and value.adjusted() >= _SMALLEST_POWER:
            return value
    raise ValueError(f"number out of range: {text[:40]}")


def keys_inside(whole: dict[str, Any] | list[Any], deeper: int = MOST_NESTED) -> int:
    """How many keys stand in an object or array, at all depths. Raises `ValueError` when it is nested too deeply."""
    if not deeper:
        raise ValueError(_TOO_DEEP)
    count, parts = (len(whole), whole.values()) if isinstance(whole, dict) else (0, whole)
    for part in parts:
        if part.__class__ in NESTING:
            count += keys_inside(part, deeper - 1)
    return count


def check_depth(value: Any) -> None:
    """Raises `ValueError` when a plain value is nested too deeply to be printed or compared later."""
    if isinstance(value, NESTING):
        keys_inside(value)


def keys_in(payload: bytes) -> int:
    """How many keys stand in JSON that can be read: never fewer than there are.

    More only where a text looks like the end of a key: a text that begins with a colon, or that has a quotation mark before a colon
    while another text ends in a backslash.
    """
    count = payload.count(b'":')
    if b" " in payload or b"\n" in payload or b"\t" in payload or b"\r" in payload:
        count += len(_KEY_END.findall(payload))
    if b'\\":' in payload and b'\\\\":' not in payload:
        # A mark behind a single backslash is part of a text and ends no key.
        count -= payload.count(b'\\":')
    return count


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        seen = Counter(key for key, _ in pairs)
        raise ValueError(f"key {seen.most_common(1)[0][0][:40]!r} stands twice in one object")
    return body
