"""Whether an order would trade with one of our own: strategies share one account (faults.md O28).

The answer errs on the side of yes. An order of unknown fate counts as resting, an amendment under way as both of its prices, and a
market order as if it reached every price.
"""

from __future__ import annotations

from typing import Final

from coldframe.core.state.orders import Order, Orders
from coldframe.enums import PriceMatch, Side, TimeInForce
from coldframe.model.intents import Place

#: Price matches that take: they name a price of the other side.
_TAKING: Final = (
    PriceMatch.OPPONENT,
    PriceMatch.OPPONENT_5,
    PriceMatch.OPPONENT_10,
    PriceMatch.OPPONENT_20,
)


def crosses(strategy: str, place: Place, orders: Orders) -> bool:
    """Whether `place` might trade with an order of another own strategy."""
    if place.time_in_force is TimeInForce.GTX or (place.price is None and _queues(place)):
        return False
    return orders.exposures.met(strategy, place.symbol, place.side.opposite, place.price)


def crossed(strategy: str, place: Place, orders: Orders) -> Order | None:
    """The oldest order of another own strategy that `place` might trade with; None when there is none."""
    if not crosses(strategy, place, orders):
        return None
    there = (order for order in orders.live.within(place.symbol) if order.strategy != strategy and order.side is not place.side)
    return next((order for order in there if _reaches(place, order)), None)


def _queues(place: Place) -> bool:
    """Whether the venue is asked for a price on the order's own side of the book."""
    return place.price_match is not PriceMatch.NONE and place.price_match not in _TAKING


def _reaches(place: Place, order: Order) -> bool:
    meets = order.meets
    if meets is None or place.price is None:
        return meets is not None
    return place.price >= meets if place.side is Side.BUY else place.price <= meets
