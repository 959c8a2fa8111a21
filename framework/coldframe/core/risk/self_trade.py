"""Whether an order would trade with one of our own: strategies share one account (faults.md O28).

The answer errs on the side of yes. An order of unknown fate counts as resting, an amendment under way as both of its prices, and a
market order as if it reached every price.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from coldframe.core.state.orders import Order
from coldframe.enums import PriceMatch, Side, TimeInForce
from coldframe.model.intents import Place

#: What never rests cannot be taken from.
_PASSING: Final = (TimeInForce.IOC, TimeInForce.FOK)
#: Price matches that take: they name a price of the other side.
_TAKING: Final = (
    PriceMatch.OPPONENT,
    PriceMatch.OPPONENT_5,
    PriceMatch.OPPONENT_10,
    PriceMatch.OPPONENT_20,
)


def crossed(strategy: str, place: Place, live: Iterable[Order]) -> Order | None:
    """The first order of another own strategy that `place` might trade with; None when there is none."""
    if place.time_in_force is TimeInForce.GTX or (place.price is None and _queues(place)):
        return None
    for order in live:
        other = order.strategy != strategy and order.symbol == place.symbol and order.side is not place.side
        if other and _rests(order) and _reaches(place, order):
            return order
    return None


def _queues(place: Place) -> bool:
    """Whether the venue is asked for a price on the order's own side of the book."""
    return place.price_match is not PriceMatch.NONE and place.price_match not in _TAKING


def _rests(order: Order) -> bool:
    return order.price is not None and order.time_in_force not in _PASSING and bool(order.remaining)


def _reaches(place: Place, order: Order) -> bool:
    if place.price is None:
        return True
    prices: list[Decimal] = [price for price in (order.price, order.amending_price) if price is not None]
    return place.price >= min(prices) if place.side is Side.BUY else place.price <= max(prices)
