"""What proves that an order is not at the venue, and what only looks like it (faults.md 3).

"Not found" is weak: before the request is dead it may still arrive, two answers in quick succession are one, and an old order that
ended without a fill is forgotten by the venue. So nothing here changes a state; it says when all parts are there.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.state.orders import Order, Orders
from coldframe.model.orders import OrderEvent, OrderState, Overlay
from coldframe.units import NS_PER_MS

#: How far apart two queries must lie for both of them to count as "not found".
NOT_FOUND_APART_MS: Final = 5_000
#: Beyond timestamp and receive window, how long an order may still appear at the venue.
DEAD_MARGIN_MS: Final = 2_000
#: How much longer an order may be hidden from queries and lists whose report may have been lost: then they alone tell of it.
BLIND_MARGIN_MS: Final = 45_000
#: The venue forgets orders that ended without a fill after three days: not to find an older one says nothing.
FORGOTTEN_AFTER_MS: Final = 3 * 86_400_000


class ManualResolution(StrEnum):
    """What a person may find out about an order."""

    NEVER_ACCEPTED = "never_accepted"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def event(self) -> OrderEvent:
        return _ORDER_EVENTS[self]


_ORDER_EVENTS: Final = {
    ManualResolution.NEVER_ACCEPTED: OrderEvent.PROVED_ABSENT,
    ManualResolution.FILLED: OrderEvent.SEEN_FILLED,
    ManualResolution.CANCELED: OrderEvent.SEEN_CANCELED,
    ManualResolution.EXPIRED: OrderEvent.SEEN_EXPIRED,
}


class AbsenceProof:
    """The clockwork of the proof: when a request is dead, which answers count, when the queries are complete."""

    def __init__(self, orders: Orders, ctx: StepContext, recv_window_ms: int) -> None:
        self._orders = orders
        self._ctx = ctx
        self._recv_window_ms = recv_window_ms

    def dead_ms(self, order: Order) -> int:
        """The venue time after which its request can no longer be accepted, however late it arrives (T_dead).

        While every report comes, that of its acceptance would have come as well. Where it may have been lost, queries and lists are
        the only evidence, and they have been seen to hide an order for a while: they must have had that much longer.
        """
        blind_ms = BLIND_MARGIN_MS if order.unreported else 0
        return order.sent_ms + self._recv_window_ms + DEAD_MARGIN_MS + self._ctx.clock.uncertainty_ms + blind_ms

    def dead(self, order: Order, at_ms: int) -> bool:
        """Whether it was dead at that venue time."""
        return order.sent_ms > 0 and at_ms > self.dead_ms(order)

    def amendment_dead_ms(self, order: Order) -> int:
        """The venue time after which its last amendment can no longer be carried out, however late it arrives.

        An amendment of an earlier run went out before this run began.
        """
        sent_ms = order.amend_sent_ms or self._orders.epoch_ms
        return sent_ms + self._recv_window_ms + DEAD_MARGIN_MS + self._ctx.clock.uncertainty_ms

    def not_found(self, order: Order, asked_ms: int) -> int:
        """A query, made at `asked_ms` (venue time), did not find it: counted once per `NOT_FOUND_APART_MS`.

        Returns when (our time) the next one counts.
        """
        now = self._ctx.now_ns
        self._orders.doubted(order, now)
        if asked_ms - order.sent_ms > FORGOTTEN_AFTER_MS:
            return now + NOT_FOUND_APART_MS * NS_PER_MS
        order.absence_seen(now, NOT_FOUND_APART_MS * NS_PER_MS, dead=self.dead(order, asked_ms))
        return max(order.not_found_ns + NOT_FOUND_APART_MS * NS_PER_MS, now)

    def provable(self, order: Order) -> bool:
        """Whether the queries are complete: two of them some seconds apart, one of them after its death."""
        return order.not_found >= 2 and order.not_found_dead

    def until_next_query_ms(self, order: Order, pause_ms: int) -> int:
        """The pause, but cut short where the request dies within it: from then on an answer counts for more."""
        dead_in_ms = self.dead_ms(order) + 1 - self._ctx.venue_ms
        return dead_in_ms if order.sent_ms and 0 < dead_in_ms < pause_ms else pause_ms


def needs_query(order: Order) -> bool:
    """Whether only the venue can say what became of the order, its cancel or its amendment."""
    if not order.live:
        return False
    in_doubt = order.overlay in (Overlay.CANCEL_UNKNOWN, Overlay.AMEND_UNKNOWN)
    in_state = order.state in (OrderState.UNKNOWN, OrderState.TRIGGERED, OrderState.NEEDS_OPERATOR)
    return in_state or in_doubt or order.not_found > 0 or order.doubted_ns > 0
