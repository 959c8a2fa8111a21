"""The three things that can be done about an order: place it, amend it, cancel it. What wants them done stands above."""

from __future__ import annotations

from decimal import Decimal

import attrs

from coldframe.core.state.orders import Order
from coldframe.model.intents import Place


@attrs.frozen
class PlaceOperation:
    place: Place


@attrs.frozen
class AmendOperation:
    """New price and new total quantity (what has traded already included) of a resting order."""

    order: Order
    price: Decimal
    quantity: Decimal


@attrs.frozen
class CancelOperation:
    order: Order


Operation = PlaceOperation | AmendOperation | CancelOperation
