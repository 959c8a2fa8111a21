"""What the parameters of a conditional order must be: what each type needs, and what excludes what (protocol.md 7.5)."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import UNSET

from coldframe.enums import OrderType, PriceMatch, TimeInForce
from coldframe.exchange.refusals import refuse
from coldframe.exchange.trading.order_checks import check_good_till, check_price_match, given
from coldframe.wire.requests import Fault, PlaceAlgo

#: Types that become a limit order.
LIMIT_TYPES: Final = frozenset({OrderType.STOP, OrderType.TAKE_PROFIT})
#: Only these may close a whole position.
_CLOSERS: Final = frozenset({OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET})
#: Times in force that say something about a market order, or about the wait for its trigger.
_OF_MARKET: Final = frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.GTD, TimeInForce.GTE_GTC})
_LEAST_CALLBACK: Final = Decimal("0.1")
_MOST_CALLBACK: Final = Decimal(20)


def check_parameters(request: PlaceAlgo, now_ms: int) -> Fault | None:
    """Whether the parameters make a conditional order; each one that is sent counts or is refused."""
    if not request.type.conditional:
        return refuse(-1116)
    return (
        _check_close_position(request)
        or _check_sent(request)
        or _check_values(request)
        or _check_match(request)
        or _check_time_in_force(request, now_ms)
    )


def _check_close_position(request: PlaceAlgo) -> Fault | None:
    """closePosition goes with two types, and takes neither quantity nor reduceOnly: it is reduce-only by itself."""
    if not given(request.close_position, False):
        return None
    if request.type not in _CLOSERS:
        return refuse(-4136, request.type, "true")
    if request.quantity is not UNSET:
        return refuse(-4137)
    if request.reduce_only is not UNSET:
        return refuse(-1106, "reduceOnly") if request.reduce_only else refuse(-4138)
    return None


def _check_sent(request: PlaceAlgo) -> Fault | None:
    """What the type needs is there, and nothing that it does not know."""
    closing = given(request.close_position, False)
    matched = given(request.price_match, PriceMatch.NONE) is not PriceMatch.NONE
    limit, trailing = request.type in LIMIT_TYPES, request.type is OrderType.TRAILING_STOP_MARKET
    rules = (
        ("quantity", request.quantity, not closing, True),
        ("price", request.price, limit and not matched, limit and not matched),
        ("callbackRate", request.callback_rate, trailing, trailing),
        ("activatePrice", request.activate_price, False, trailing),
        ("triggerPrice", request.trigger_price, not trailing, not trailing),
    )
    for name, value, needed, allowed in rules:
        if value is UNSET and needed:
            return refuse(-1102, name)
        if value is not UNSET and not allowed:
            return refuse(-1106, name)
    return None


def _check_values(request: PlaceAlgo) -> Fault | None:
    if request.callback_rate is not UNSET and not _LEAST_CALLBACK <= Decimal(request.callback_rate) <= _MOST_CALLBACK:
        return refuse(-2007)
    if request.trigger_price is not UNSET and not Decimal(request.trigger_price):
        return refuse(-4006)
    if request.activate_price is not UNSET and not Decimal(request.activate_price):
        return refuse(-4135)
    return None


def _check_match(request: PlaceAlgo) -> Fault | None:
    return check_price_match(given(request.price_match, PriceMatch.NONE), limit=request.type in LIMIT_TYPES)


def _check_time_in_force(request: PlaceAlgo, now_ms: int) -> Fault | None:
    if request.type not in LIMIT_TYPES and given(request.time_in_force, TimeInForce.GTC) not in _OF_MARKET:
        return refuse(-1115)
    dated = request.time_in_force is TimeInForce.GTD
    if request.good_till_date is UNSET:
        return refuse(-1102, "goodTillDate") if dated else None
    return check_good_till(request.good_till_date, now_ms) if dated else refuse(-1106, "goodTillDate")
