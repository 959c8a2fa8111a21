"""What became of our orders, counted for the summary."""

from __future__ import annotations

from typing import Final

import attrs

from coldframe.model.orders import OrderState

#: States in which the venue has not confirmed an order yet.
_UNHEARD: Final = (OrderState.PENDING_SUBMIT, OrderState.SUBMITTED, OrderState.UNKNOWN)
_ACCEPTED: Final = (
    OrderState.UNTRIGGERED,
    OrderState.TRIGGERED,
    OrderState.ACCEPTED,
    OrderState.PARTIALLY_FILLED,
    OrderState.FILLED,
    OrderState.EXPIRED,
)


@attrs.define
class Tally:
    """What became of our orders, for the summary."""

    sent: int = 0
    acked: int = 0
    rejected: int = 0
    cancelled: int = 0
    filled: int = 0

    def order_sent(self) -> None:
        """An order goes out."""
        self.sent += 1

    def changed(self, before: OrderState, after: OrderState) -> None:
        """The state of an order has changed."""
        self.acked += before in _UNHEARD and after in _ACCEPTED
        self.filled += after is OrderState.FILLED
        self.rejected += after is OrderState.REJECTED
        self.cancelled += after is OrderState.CANCELED
