"""What a request about an order was sent for: it comes back with the answer, whichever way that took."""

from __future__ import annotations

from decimal import Decimal

import attrs

from coldframe.core.orders import Order


@attrs.frozen
class PlaceOf:
    """The purpose of an order.place."""

    order: Order


@attrs.frozen
class CancelOf:
    """The purpose of an order.cancel, or of an algoOrder.cancel (`algo`), or of the same by REST."""

    order: Order
    algo: bool = False


@attrs.frozen
class AmendOf:
    """The purpose of an order.modify, with what it asks for."""

    order: Order
    price: Decimal
    quantity: Decimal


@attrs.frozen
class QueryOf:
    """The purpose of an order.status, or of the same by REST."""

    order: Order
