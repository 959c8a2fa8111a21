"""What pre-trade risk asks of a conditional order: that its kind fits, prices are legal and sane, and its worth at worst.

At its trigger the order is judged by the venue alone, long after it was sent: what would be refused then is refused here at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from coldframe.enums import OrderType, PriceMatch
from coldframe.model.intents import Place
from coldframe.wire.filters import Filters, Violation, check_order

#: Types that become a LIMIT order; the other conditional ones become a MARKET order.
LIMIT_TYPES: Final = frozenset({OrderType.STOP, OrderType.TAKE_PROFIT})
#: Types that may close a whole position in place of a quantity.
_CLOSERS: Final = frozenset({OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET})
#: Conditional orders an account may have open over all symbols (protocol.md 2).
MOST_CONDITIONAL: Final = 200
#: How far a trailing stop may trail, in percent (protocol.md 7.5; the upper end since 2026-10-23).
LEAST_CALLBACK: Final = Decimal("0.1")
MOST_CALLBACK: Final = Decimal(20)


def fault_of_type(place: Place) -> str | None:
    """What is wrong with an order's type and what goes with it, in one line; None when it is an order."""
    kind = place.type
    limit = kind is OrderType.LIMIT or kind in LIMIT_TYPES
    if kind not in (OrderType.LIMIT, OrderType.MARKET) and not kind.conditional:
        return f"an order of type {kind} cannot be placed"
    if limit and place.price is None and place.price_match is PriceMatch.NONE:
        return f"a {kind} order needs a price or a price match"
    if not limit and place.price is not None:
        return f"a {kind} order takes no price"
    if place.close_position and kind not in _CLOSERS:
        return f"a {kind} order cannot close a whole position: STOP_MARKET and TAKE_PROFIT_MARKET can"
    if place.close_position and (place.quantity or place.reduce_only):
        return "an order that closes the whole position takes neither quantity nor reduce_only"
    if place.price_protect and not kind.conditional:
        return f"a {kind} order takes no price_protect"
    return _fault_of_trigger(place)


def _fault_of_trigger(place: Place) -> str | None:
    trailing = place.type is OrderType.TRAILING_STOP_MARKET
    wanted = {
        "trigger_price": place.type.conditional and not trailing,
        "callback_rate": trailing,
    }
    for name, needed in wanted.items():
        if (getattr(place, name) is not None) != needed:
            return f"a {place.type} order {'needs a' if needed else 'takes no'} {name}"
    if place.activate_price is not None and not trailing:
        return f"a {place.type} order takes no activate_price"
    rate = place.callback_rate
    if rate is not None and not LEAST_CALLBACK <= rate <= MOST_CALLBACK:
        return f"a callback rate of {rate} %: {LEAST_CALLBACK} to {MOST_CALLBACK} are allowed"
    return None


def broken_rule(filters: Filters, place: Place, mark: Decimal | None) -> Violation | None:
    """The first of the symbol's rules that an order breaks; for a conditional one also those it would break at its trigger."""
    if not place.type.conditional:
        return check_order(filters, place.side, place.quantity, place.price, mark, reduce_only=place.closing)
    broken = None
    if not place.close_position:
        broken = filters.check_quantity(place.quantity, market=place.type not in LIMIT_TYPES)
    for price in (place.price, place.trigger_price, place.activate_price):
        if price is not None and broken is None:
            broken = filters.check_price(price)
    worth = place.price or worth_of(place, mark)
    if broken is None and worth and not place.closing:
        broken = filters.check_notional(worth, place.quantity)
    return broken


def compared_prices(place: Place, mark: Decimal) -> Iterator[tuple[str, Decimal, str, Decimal]]:
    """The prices of an order that a collar looks at, each with what it is compared with, and both by name.

    A trigger must not be far from the mark price, a limit price not far from where the market is when it counts.
    """
    if place.trigger_price is not None:
        yield "trigger price", place.trigger_price, "mark price", mark
    if place.activate_price is not None:
        yield "activation price", place.activate_price, "mark price", mark
    if place.price is not None and place.trigger_price is not None:
        yield "price", place.price, "trigger price", place.trigger_price
    elif place.price is not None:
        yield "price", place.price, "mark price", mark


def worth_of(place: Place, mark: Decimal | None) -> Decimal | None:
    """The price at which an order is valued: its own, or for one that names none the highest it is known to depend on."""
    if place.price is not None and place.trigger_price is None:
        return place.price
    named = (place.price, place.trigger_price, place.activate_price, mark if place.price is None else None)
    known = [price for price in named if price]
    return max(known, default=None)
