"""Texts of vendor files as integers: numbers behind a fixed count of digits, times, and words for yes and no.

Every function here takes the text of one field and gives an integer of 64 bits, or raises `ValueError` with a sentence that says
what is wrong. Nothing is rounded, and nothing is a float on its way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache, partial
from typing import Final

#: Digits behind the point of prices and quantities in every column: what the exchange allows at most.
PRICE_DIGITS: Final = 8
#: The integer that stands for a field that the file leaves empty.
NONE: Final = -(1 << 63)
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

_LARGEST: Final = (1 << 63) - 1
_NUMBER: Final = re.compile(r"([+-]?[0-9]{1,25})(?:\.([0-9]{0,40}))?(?:[eE]([+-]?[0-9]{1,2}))?", re.ASCII)
#: Digits of a whole number that surely fits.
_LONGEST: Final = 18
_FLAGS: Final = {"true": 1, "false": 0, "True": 1, "False": 0, "TRUE": 1, "FALSE": 0}
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}:[0-9]{2})?", re.ASCII)
#: September 2001 to November 2286: thirteen digits.
_EPOCH_MS: Final = range(10**12, 10**13)
_EPOCH_US: Final = range(10**15, 10**16)


def fixed(digits: int, text: str) -> int:
    """The number that `text` prints, in units of 10**-digits, exactly. An exponent is read too: some exporters print `1e-7`."""
    number, needed = _parted(text)
    if needed > digits:
        raise ValueError(f"{text[:40]!r} has {needed} digits behind the point; {digits} are kept")
    value: int = number * 10 ** (digits - needed)
    if abs(value) > _LARGEST:
        raise ValueError(f"{text[:40]!r} is too large for 64 bits with {digits} digits behind the point")
    return value


@cache
def fixed_parser(digits: int) -> Callable[[str], int]:
    """`fixed` for so many digits. Files repeat their numbers, so the answers are kept in a bounded memo."""
    return lru_cache(maxsize=1 << 16)(partial(fixed, digits))


def digits_of(text: str) -> int:
    """How many digits behind the point the number needs, at least 0."""
    return max(_parted(text)[1], 0)


def _parted(text: str) -> tuple[int, int]:
    """An integer, and by how many digits it has to be shifted behind the point; trailing zeros are left out."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(f"not a number: {text[:40]!r}")
    whole, fraction, exponent = match.groups()
    fraction = (fraction or "").rstrip("0")
    number, needed = int(whole + fraction), len(fraction) - int(exponent or 0)
    while needed > 0 and number % 10 == 0 and number:
        number, needed = number // 10, needed - 1
    return number, needed if number else 0


@lru_cache(maxsize=1 << 16)
def decimal_of(value: int, digits: int) -> Decimal:
    """The number behind an integer in units of 10**-digits, without trailing zeros behind the point."""
    while digits and value % 10 == 0:
        value, digits = value // 10, digits - 1
    return Decimal(value).scaleb(-digits)


def text_of(value: int, digits: int) -> str:
    """The number behind an integer in units of 10**-digits, in plain digits."""
    return format(decimal_of(value, digits), "f")


def integer(text: str) -> int:
    """A whole number, 0 or more."""
    if text.isdecimal() and text.isascii() and len(text) <= _LONGEST:
        return int(text)
    raise ValueError(f"not a whole number: {text[:40]!r}")


def flag(text: str) -> int:
    """1 for `true` and 0 for `false`, as exporters write them."""
    value = _FLAGS.get(text)
    if value is None:
        raise ValueError(f"neither true nor false: {text[:40]!r}")
    return value


def epoch_ms(text: str) -> int:
    """A time in epoch milliseconds."""
    value = integer(text)
    if value in _EPOCH_MS:
        return value
    if value in _EPOCH_US:
        raise ValueError(f"{text} is a time in microseconds, as files of the spot market have since 2025; USD-M futures have ms")
    raise ValueError(f"not a time in epoch milliseconds: {text[:40]!r}")


@lru_cache(maxsize=1 << 12)
def utc_ms(text: str) -> int:
    """A time as `YYYY-MM-DD HH:MM:SS` or `YYYY-MM-DD` in UTC, or in epoch milliseconds."""
    if _DATE.fullmatch(text) is None:
        return epoch_ms(text)
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000
    except ValueError:
        raise ValueError(f"not a time: {text[:40]!r}") from None


def utc_text(at_ms: int) -> str:
    """A time in epoch milliseconds, for people."""
    whole, part = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%d %H:%M:%S}" + (f".{part:03d}" if part else "")
