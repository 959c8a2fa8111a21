"""Whether what a strategy wants can be judged at all: every field of an intent of its own kind, every number one to calculate with.

A strategy's code is not ours, and type hints do not bind it: a float, a NaN, a text for a side must end as a verdict and never
reach the arithmetic behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from enum import Enum
from typing import Final

from coldframe.enums import OrderType, PositionSide, PriceMatch, SelfTradePrevention, Side, TimeInForce, WorkingType
from coldframe.model.intents import TAG_LENGTH, Amend, Cancel, CancelAll, Intent, Place, Quote, Quotes, SaveState, Target, WakeMe
from coldframe.model.saved_state import text_of
from coldframe.text import class_name, shown

#: Orders of magnitude beyond which a number cannot be traded with, and arithmetic on it no longer exact.
_LARGEST: Final = 18
_SMALLEST: Final = -30
#: And no number has more digits than this.
_DIGITS: Final = Context(prec=60)
#: Longer texts name nothing: symbols and order ids have up to 36 characters.
_LONGEST: Final = 200
#: More levels than this on one side are a mistake.
_MOST_QUOTES: Final = 100

#: Says what a value should be; None when it is.
Rule = Callable[[object], str | None]


def fault_of(intent: Intent) -> str | None:
    """What is wrong with the form of an intent, in one line; None when it can be judged."""
    if type(intent) is SaveState:
        return _fault_of_state(intent.value)
    rules = _RULES.get(type(intent))
    if rules is None:
        return f"{class_name(intent)} is not an intent"
    for name, rule in rules.items():
        value = getattr(intent, name)
        wanted = rule(value)
        if wanted is not None:
            return f"{class_name(intent)}.{name} must be {wanted}, not {shown(value)}"
        if type(value) is tuple:
            fault = _fault_of_quotes(f"{class_name(intent)}.{name}", value)
            if fault is not None:
                return fault
    return None


def _fault_of_quotes(where: str, quotes: tuple[object, ...]) -> str | None:
    """What is wrong with the first malformed quote."""
    for number, quote in enumerate(quotes):
        if type(quote) is not Quote:
            return f"{where}[{number}] must be a Quote, not {shown(quote)}"
        for name in ("price", "quantity"):
            wanted = _number(getattr(quote, name))
            if wanted is not None:
                return f"{where}[{number}].{name} must be {wanted}, not {shown(getattr(quote, name))}"
    return None


def _fault_of_state(value: object) -> str | None:
    """What is wrong with a value that a strategy wants to save."""
    try:
        text_of(value)
    except ValueError as error:
        return f"SaveState.{error}"
    return None


def _number(value: object) -> str | None:
    if type(value) is not Decimal or not value.is_finite():
        return "a finite Decimal"
    sane = not value or _SMALLEST <= value.adjusted() < _LARGEST
    return None if sane and _DIGITS.plus(value) == value else "a Decimal of a sane size"


def _positive_or_zero(value: object) -> str | None:
    wrong = _number(value)
    return wrong or (None if isinstance(value, Decimal) and value >= 0 else "not negative")


def _text(value: object) -> str | None:
    # Not of a class that derives from `str`: that could compare as it likes.
    return None if type(value) is str and len(value) <= _LONGEST and value.isprintable() else "a printable text of a sane length"


def _tag(value: object) -> str | None:
    fits = type(value) is str and len(value) <= TAG_LENGTH and value.isascii() and value.isprintable()
    return None if fits else f"a text of at most {TAG_LENGTH} printable ASCII characters"


def _yes_or_no(value: object) -> str | None:
    return None if type(value) is bool else "True or False"


def _whole(value: object) -> str | None:
    return None if type(value) is int and 0 <= value < 2**53 else "a whole number of milliseconds"


def _quotes(value: object) -> str | None:
    if type(value) is not tuple:
        return "several quotes"
    return None if len(value) <= _MOST_QUOTES else f"at most {_MOST_QUOTES} quotes"


def _member(kind: type[Enum]) -> Rule:
    # Told by identity: something that only compares like a member is not valid.
    return lambda value: None if any(value is member for member in kind) else f"one of {', '.join(kind.__members__)}"


def _maybe(rule: Rule) -> Rule:
    return lambda value: None if value is None else rule(value)


_RULES: Final[Mapping[type, Mapping[str, Rule]]] = {
    Place: {
        "symbol": _text,
        "side": _member(Side),
        "quantity": _number,
        "type": _member(OrderType),
        "price": _maybe(_number),
        "time_in_force": _member(TimeInForce),
        "reduce_only": _yes_or_no,
        "position_side": _member(PositionSide),
        "price_match": _member(PriceMatch),
        "self_trade_prevention": _maybe(_member(SelfTradePrevention)),
        "good_till_ms": _maybe(_whole),
        "trigger_price": _maybe(_number),
        "working_type": _member(WorkingType),
        "price_protect": _yes_or_no,
        "close_position": _yes_or_no,
        "callback_rate": _maybe(_number),
        "activate_price": _maybe(_number),
        "tag": _tag,
    },
    Amend: {"client_order_id": _text, "price": _maybe(_number), "quantity": _maybe(_number)},
    Cancel: {"client_order_id": _text},
    CancelAll: {"symbol": _maybe(_text)},
    WakeMe: {"after_ms": _whole, "key": _text},
    Quotes: {
        "symbol": _text,
        "bids": _quotes,
        "asks": _quotes,
        "post_only": _yes_or_no,
        "position_side": _member(PositionSide),
        "tag": _tag,
    },
    Target: {"symbol": _text, "position": _number, "slippage_bps": _positive_or_zero, "tag": _tag},
}
