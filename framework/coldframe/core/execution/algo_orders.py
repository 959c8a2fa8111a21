"""Conditional orders: what is asked of the algo methods, and what they and ALGO_UPDATE say, turned into the life of one order.

Before its trigger an order is known to the algo methods alone; at its trigger it becomes an ordinary order with an id of its own
under our client order id, and from then on only the ordinary methods tell what it does. News of both kinds come in any order, late
and twice: how far a conditional order has come never goes back, so what is older than what is known changes nothing.
Source: protocol.md 7.5 and 8.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs
from msgspec import UnsetType

from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.execution_reports import ExecutionReports
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.orders import Order
from coldframe.enums import AlgoStatus
from coldframe.model.effects import Level
from coldframe.model.orders import OrderEvent
from coldframe.wire.account import AlgoUpdate
from coldframe.wire.replies import AlgoReply

#: How far a conditional order has come. REJECTED and EXPIRED may follow TRIGGERING; nothing follows the last rank.
_RANK: Final[Mapping[AlgoStatus, int]] = {
    AlgoStatus.NEW: 1,
    AlgoStatus.TRIGGERING: 2,
    AlgoStatus.TRIGGERED: 3,
    AlgoStatus.CANCELED: 4,
    AlgoStatus.REJECTED: 4,
    AlgoStatus.EXPIRED: 4,
    AlgoStatus.FINISHED: 4,
}
_MEANS: Final[Mapping[AlgoStatus, OrderEvent]] = {
    AlgoStatus.NEW: OrderEvent.SEEN_WAITING,
    AlgoStatus.TRIGGERING: OrderEvent.SEEN_WAITING,
    AlgoStatus.CANCELED: OrderEvent.SEEN_CANCELED,
    AlgoStatus.REJECTED: OrderEvent.REFUSED_AT_TRIGGER,
    AlgoStatus.EXPIRED: OrderEvent.SEEN_EXPIRED,
}
_BECAME: Final = (AlgoStatus.TRIGGERED, AlgoStatus.FINISHED)


@attrs.frozen
class PendingAlgoQuery(RequestPurpose):
    """The purpose of a GET algoOrder; the WebSocket API has no such question."""

    order: Order


class AlgoOrders:
    """Merges what is said about conditional orders. Results are applied like any other execution report."""

    def __init__(self, state: EngineState, ctx: StepContext, reports: ExecutionReports) -> None:
        self._ctx = ctx
        self._orders = state.orders
        self._reports = reports

    def step(self, event: AlgoUpdate) -> Order | None:
        """Takes in a report of the user stream. Returns the order it speaks of; None when it is not ours."""
        report = event.order
        order = self._orders.get(report.client_algo_id)
        if order is None:
            what = f"{report.type} {report.symbol} {report.side} {report.quantity} {report.status}"
            self._ctx.log(Level.WARNING, f"a conditional order of no strategy: {what}")
            return None
        reason = report.reject_reason if isinstance(report.reject_reason, str) else ""
        became = report.actual_order_id if isinstance(report.actual_order_id, str) else ""
        if report.activated is True and not order.activated:
            self._orders.activated(order)
        self._merge(order, report.algo_id, report.status, became, reason, event.transaction_ms)
        return order

    def reply(self, order: Order, reply: AlgoReply, asked_ms: int = 0) -> None:
        """An answer, a query or a list that names the order. `asked_ms`: when a question was asked that confirms a list."""
        became = reply.actual_order_id if isinstance(reply.actual_order_id, str) else ""
        at_ms = 0 if isinstance(reply.update_time, UnsetType) else reply.update_time
        self._merge(order, reply.algo_id, reply.algo_status, became, "", max(at_ms, asked_ms))

    def cancelled(self, order: Order, algo_id: int) -> None:
        """The answer to a cancel that was carried out."""
        self._merge(order, algo_id, AlgoStatus.CANCELED, "", "", 0)

    def _merge(self, order: Order, algo_id: int, status: AlgoStatus, became: str, reason: str, at_ms: int) -> None:
        rank = _RANK.get(status, order.algo_rank)
        if order.state.terminal and order.untriggered and order.comes_back(at_ms):
            order.resumed_as_algo(rank)
        self._orders.algo_reported(order, algo_id, rank)
        if rank < order.algo_rank:
            return
        if status in _BECAME:
            self._reports.triggered(order, at_ms)
            if became.isascii() and became.isdigit():
                self._orders.identify(order, int(became))
        elif order.untriggered:
            # A reason may stand beside good news as well, where it means nothing.
            refused = status in (AlgoStatus.REJECTED, AlgoStatus.EXPIRED)
            order.found()
            at_ms = at_ms or (self._ctx.venue_ms if order.live else 0)
            self._reports.apply(order, _MEANS.get(status, OrderEvent.OUTCOME_UNKNOWN), reason if refused else "", at_ms)
