"""What the venue's lists of open orders say about ours: every row of them is looked at, also that of an order that has ended here.

A listed open order is always in one of three places: alive here, external, or told as an incident. What has ended by inference
comes back with its row. What the venue itself has ended comes back with a row that is later than that word, or when a list that was
asked for after the word names it and a query confirms it. FILLED is final: such a row is an incident. Source: faults.md 3, O35.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.execution_reports import ExecutionReports
from coldframe.core.execution.order_executor import OrderExecutor
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.orders import Order
from coldframe.enums import AlgoStatus, OrderStatus
from coldframe.errors import DecodeError
from coldframe.model.effects import Level
from coldframe.units import NS_PER_MS
from coldframe.wire import requests as ask
from coldframe.wire.codec import Census, decode
from coldframe.wire.replies import AlgoReply, OrderReply

#: How long after the word that ended an order a list must have been asked for, since lists may lag behind reports (milliseconds).
LAG_MS: Final = 2_000
_ALIVE: Final = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


@attrs.frozen
class PendingConfirm(RequestPurpose):
    """The purpose of a GET order that shall confirm a row of openOrders; `asked_ms` is when it was asked, in the venue's time."""

    symbol: str
    order_id: int
    asked_ms: int


@attrs.frozen
class PendingAlgoConfirm(RequestPurpose):
    """The purpose of a GET algoOrder that shall confirm a row of openAlgoOrders."""

    client_order_id: str
    asked_ms: int


@attrs.frozen
class PendingContradictionCancel(RequestPurpose):
    """The purpose of a DELETE order for a row that contradicts what is known of its order."""

    client_order_id: str


class ListedOrders:
    """Compares rows of open orders with our orders."""

    def __init__(
        self, state: EngineState, ctx: StepContext, calls: RestQueue, reports: ExecutionReports, executor: OrderExecutor
    ) -> None:
        self._ctx = ctx
        self._calls = calls
        self._orders = state.orders
        self._reports = reports
        self._executor = executor
        self._census = Census()
        #: Orders whose rows are being confirmed.
        self._confirming: set[tuple[str, int] | str] = set()

    # -- rows ---------------------------------------------------------------------------------------------------------

    def compare(self, rows: Iterable[OrderReply], algos: Iterable[AlgoReply], begun_ns: int) -> set[str]:
        """Takes in every row of the lists of a round that began at `begun_ns` (ours). Returns the orders that they name."""
        named: set[str] = set()
        for row in rows:
            order = self._orders.find(row.symbol, row.client_order_id, row.order_id)
            if order is not None:
                named.add(order.client_order_id)
                self._reports.reply(order, row)
                self._executor.reported(order)
                if self._doubtful(order, begun_ns):
                    self._confirm(row.symbol, row.order_id)
            elif self._reports.of_this_run(row.client_order_id):
                self._confirm(row.symbol, row.order_id)
        for algo in algos:
            order = self._orders.get(algo.client_algo_id)
            if order is not None:
                named.add(order.client_order_id)
                self._executor.conditionals.reply(order, algo)
                self._executor.reported(order)
                if self._doubtful(order, begun_ns):
                    self._confirm_algo(order.client_order_id)
            elif self._reports.of_this_run(algo.client_algo_id):
                self._confirm_algo(algo.client_algo_id)
        return named

    @staticmethod
    def _doubtful(order: Order, begun_ns: int) -> bool:
        """Whether a row of it contradicts its end, and was not on its way when that end was told."""
        return not order.live and begun_ns - order.ended_ns >= LAG_MS * NS_PER_MS

    def unknown(self, rows: Iterable[OrderReply]) -> list[OrderReply]:
        """The rows of orders that are not ours: of others, or of an earlier run."""
        find, this_run = self._orders.find, self._reports.of_this_run
        unknown = [row for row in rows if find(row.symbol, row.client_order_id, row.order_id) is None]
        return [row for row in unknown if not this_run(row.client_order_id)]

    def unknown_algos(self, rows: Iterable[AlgoReply]) -> list[AlgoReply]:
        """The same for conditional orders."""
        return [
            row
            for row in rows
            if self._orders.get(row.client_algo_id) is None and not self._reports.of_this_run(row.client_algo_id)
        ]

    # -- confirming them ----------------------------------------------------------------------------------------------

    def _confirm(self, symbol: str, order_id: int) -> None:
        key = (symbol, order_id)
        if key not in self._confirming:
            self._confirming.add(key)
            params: dict[str, str | int] = {"symbol": symbol, "orderId": order_id}
            self._calls.call("GET", "/fapi/v1/order", params, PendingConfirm(symbol, order_id, self._ctx.venue_ms))

    def _confirm_algo(self, client_order_id: str) -> None:
        if client_order_id not in self._confirming:
            self._confirming.add(client_order_id)
            params = ask.parameters(ask.AlgoRef(client_algo_id=client_order_id))
            self._calls.call("GET", "/fapi/v1/algoOrder", params, PendingAlgoConfirm(client_order_id, self._ctx.venue_ms))

    def step(self, event: Returned) -> None:
        """Takes in what one of its calls brought."""
        body = event.answer.body if event.answer is not None and event.answer.status == 200 else None
        try:
            match event.purpose:
                case PendingConfirm(symbol, order_id, asked_ms):
                    self._confirming.discard((symbol, order_id))
                    if body is not None:
                        self._confirmed(decode(OrderReply, body, self._census), asked_ms)
                case PendingAlgoConfirm(name, asked_ms):
                    self._confirming.discard(name)
                    if body is not None:
                        self._confirmed_algo(decode(AlgoReply, body, self._census), asked_ms)
                case _:  # a cancel: the next list tells whether its order has gone
                    pass
        except DecodeError as error:
            self._ctx.log(Level.WARNING, f"reconciliation: unreadable order: {error}")

    def _confirmed(self, reply: OrderReply, asked_ms: int) -> None:
        order = self._orders.find(reply.symbol, reply.client_order_id, reply.order_id)
        if order is not None:
            self._reports.reply(order, reply, asked_ms)
            self._executor.reported(order)
        elif reply.status in _ALIVE:
            order = self._reports.rise(reply)
        if order is not None and not order.live and reply.status in _ALIVE:
            self._reports.contradicts(order)
            params: dict[str, str | int] = {"symbol": reply.symbol, "orderId": reply.order_id}
            self._calls.call("DELETE", "/fapi/v1/order", params, PendingContradictionCancel(reply.client_order_id))

    def _confirmed_algo(self, reply: AlgoReply, asked_ms: int) -> None:
        order = self._orders.get(reply.client_algo_id)
        if order is not None:
            self._executor.conditionals.reply(order, reply, asked_ms)
            self._executor.reported(order)
        elif reply.algo_status is AlgoStatus.NEW:
            self._reports.rise_algo(reply)
