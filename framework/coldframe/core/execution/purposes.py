"""What a request about an order was sent for: it comes back with the answer, whichever way that took."""

from __future__ import annotations

from decimal import Decimal

import attrs

from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.state.orders import Order


@attrs.frozen
class PendingPlace(RequestPurpose):
    """The purpose of an order.place."""

    order: Order


@attrs.frozen
class PendingCancel(RequestPurpose):
    """The purpose of an order.cancel, or of an algoOrder.cancel (`algo`), or of the same by REST."""

    order: Order
    algo: bool = False


@attrs.frozen
class PendingAmend(RequestPurpose):
    """The purpose of an order.modify, with what it asks for."""

    order: Order
    price: Decimal
    quantity: Decimal


@attrs.frozen
class PendingQuery(RequestPurpose):
    """The purpose of an order.status, or of the same by REST."""

    order: Order
