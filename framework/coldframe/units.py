"""Exact numbers and units: strict decimals, prices on their tick, milliseconds and nanoseconds.

Money is never a float. Numbers on the wire are decimal texts; they become `Decimal` only through `exact`, which accepts plain
ASCII digits and nothing else ("NaN", "1e5", "1_0" and Arabic digits are all refused, although `Decimal` would take them).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    getcontext,
    setcontext,
)
from itertools import chain
from typing import Final, TypeVar, TypeVarTuple

Ts = TypeVarTuple("Ts")
R = TypeVar("R")

#: A number as the venue prints it: optional sign, digits, optional fraction. What was read is never given back, which is quicker.
NUMBER: Final = re.compile(r"-?[0-9]{1,24}+(?:\.[0-9]{1,18}+)?")

ZERO: Final = Decimal(0)
NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
MS_PER_S: Final = 1_000

#: The arithmetic of everything that names no context of its own. Every value is given: what is left out comes from
#: `decimal.DefaultContext`, which any module of the process may have changed.
_ARITHMETIC: Final = Context(
    prec=28,
    rounding=ROUND_HALF_EVEN,
    Emin=-999_999,
    Emax=999_999,
    capitals=1,
    clamp=0,
    flags=[],
    traps=[InvalidOperation, DivisionByZero, Overflow],
)


#: Makes a fresh decimal context as the product calculates in: 28 digits, ties to even, invalid operations raise.
arithmetic: Final[Callable[[], Context]] = _ARITHMETIC.copy


def calculated(call: Callable[[*Ts], R], *args: *Ts) -> R:
    """What a function answers when it calculates in a context of its own, whatever its caller has set for itself."""
    before = getcontext()
    setcontext(arithmetic())
    try:
        return call(*args)
    finally:
        setcontext(before)


# Wide enough that no product of a price and a quantity is ever rounded.
_WIDE: Final = Context(prec=60)


def exact(text: str) -> Decimal:
    """The number that `text` prints, exactly. Raises `ValueError` for anything but a plain decimal number."""
    if NUMBER.fullmatch(text) is None:
        raise ValueError(f"not a plain decimal number: {text[:40]!r}")
    return Decimal(text)


def plain(value: Decimal) -> str:
    """`value` in plain digits: never an exponent, never a minus before zero, trailing zeros kept."""
    text = format(value, "f")
    return text[1:] if value.is_zero() and text.startswith("-") else text


def trimmed(value: Decimal) -> str:
    """`value` in plain digits without trailing zeros: `0.500` is `0.5`, `100` stays `100`."""
    text = plain(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def places(value: Decimal) -> int:
    """How many digits behind the point `value` needs: 1 for a tick of `0.10`, 0 for `5` and for `100`."""
    exponent = value.normalize(_WIDE).as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


def on_grid(value: Decimal, step: Decimal, origin: Decimal = ZERO) -> bool:
    """Whether `value` is a whole number of `step`s above `origin`; a step of zero allows everything."""
    return not step or not _WIDE.remainder(_WIDE.subtract(value, origin), step)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The greatest multiple of `step` that is not above `value`, printed with the digits of `step`."""
    return _to_grid(value, step, ROUND_FLOOR)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` that is not below `value`, printed with the digits of `step`."""
    return _to_grid(value, step, ROUND_CEILING)


def nearest_to(value: Decimal, step: Decimal) -> Decimal:
    """The multiple of `step` nearest to `value` (ties to even), printed with the digits of `step`."""
    return _to_grid(value, step, ROUND_HALF_EVEN)


def _to_grid(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    if not step:
        return value
    count = _WIDE.divide(value, step).to_integral_value(rounding, _WIDE)
    return _WIDE.multiply(count, step).quantize(Decimal((0, (1,), -places(step))), context=_WIDE)


#: Prices and quantities of books are integers in units of 10**-12: exact, cheap to compare, and independent of tick sizes.
SCALE_DIGITS: Final = 12
_LEVEL_NUMBER: Final = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,12}))?")
#: How many texts are kept. With their numbers and the table, the longest ones take six megabytes.
_SCALED_LIMIT: Final = 40_000


class _Memo(dict[str, int]):
    """Texts that were scaled before: books see the same few thousand texts again and again. Bounded."""

    def __missing__(self, text: str) -> int:
        match = _LEVEL_NUMBER.fullmatch(text)
        if match is None:
            raise ValueError(f"not a price or quantity: {text[:40]!r}")
        if len(self) >= _SCALED_LIMIT:
            self.clear()
        value = self[text] = int(match[1] + (match[2] or "").ljust(SCALE_DIGITS, "0"))
        return value


_SCALED: Final = _Memo()

#: The non-negative number that a text prints, in units of 10**-12. Raises `ValueError` for anything else.
scaled: Final[Callable[[str], int]] = _SCALED.__getitem__


def scaled_levels(levels: Iterable[tuple[str, str]]) -> list[int]:
    """Price, quantity, price, quantity and so on of some levels, in units of 10**-12. Raises `ValueError` like `scaled`.

    All of them are read before the first is used, so a book takes in a change as a whole or not at all.
    """
    return list(map(scaled, chain.from_iterable(levels)))


def check_scalable(texts: Iterable[str]) -> None:
    """Raises `ValueError` unless `scaled` takes every one of `texts`; almost free for texts seen before."""
    deque(map(scaled, texts), maxlen=0)


def unscaled(value: int) -> Decimal:
    """The number behind an integer in units of 10**-12, without trailing zeros behind the point."""
    whole, fraction = divmod(abs(value), 10**SCALE_DIGITS)
    sign = "-" if value < 0 else ""
    return Decimal(f"{sign}{whole}.{fraction:012d}".rstrip("0")) if fraction else Decimal(f"{sign}{whole}")
