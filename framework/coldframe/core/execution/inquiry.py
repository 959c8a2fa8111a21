"""Orders of unknown fate: asked for with growing pauses until evidence decides, a proof is complete, or a person has to look.

Nothing here ends an order by itself. Only an order that the venue has never acknowledged can be proved absent; an acknowledged one
is missing when the same proof is complete, and stays alive (`coldframe.model.orders`).
"""

from __future__ import annotations

from typing import Final

from coldframe.core.connectivity.request_ways import RequestWays
from coldframe.core.connectivity.rest_queue import RestQueue
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.absence_proof import AbsenceProof, ManualResolution, needs_query
from coldframe.core.execution.algo_orders import PendingAlgoQuery
from coldframe.core.execution.execution_reports import ExecutionReports, describe
from coldframe.core.execution.order_requests import algo_reference, reference
from coldframe.core.execution.purposes import PendingQuery
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.orders import Order
from coldframe.model.effects import Level
from coldframe.model.intents import ACCEPTED, Verdict, VerdictCode
from coldframe.model.orders import OrderEvent, OrderState
from coldframe.units import NS_PER_MS
from coldframe.wire import requests as ask

#: Pause before the first query of an order of unknown fate, doubled up to the last one (milliseconds).
FIRST_QUERY_MS: Final = 500
LAST_QUERY_MS: Final = 8_000
#: An order whose state stays unknown for so long needs an operator (faults.md 3).
OPERATOR_AFTER_MS: Final = 600_000
#: Fills that an answer has counted usually are on their way: pause before they are asked for, and asked for again.
FIRST_FILLS_MS: Final = 500
FILLS_AGAIN_MS: Final = 5_000


class Inquiry:
    """Follows each order until it is known what became of it."""

    def __init__(
        self,
        state: EngineState,
        ctx: StepContext,
        ways: RequestWays,
        calls: RestQueue,
        reports: ExecutionReports,
        proof: AbsenceProof,
    ) -> None:
        self._ctx = ctx
        self._ways = ways
        self._calls = calls
        self._orders = state.orders
        self._reports = reports
        self._proof = proof
        #: When this run began: before that no query was sent.
        self._began_ns = 0
        self._query_at_ns: dict[str, int] = {}
        self._query_pause_ms: dict[str, int] = {}
        #: Orders that have been asked for and not answered, with the venue time of the question.
        self._asked: dict[str, int] = {}
        #: Orders whose fills a query has to bring (cumulative quantity above what was booked), and when to ask.
        self._fills_at_ns: dict[str, int] = {}

    def begin(self) -> None:
        """The run begins."""
        self._began_ns = self._ctx.now_ns

    def watch(self, order: Order) -> None:
        """Begins or ends asking for an order, as its state demands: call it after whatever has happened to it."""
        name = order.client_order_id
        if needs_query(order):
            self._query_at_ns.setdefault(name, self._ctx.now_ns + FIRST_QUERY_MS * NS_PER_MS)
        else:
            self._query_at_ns.pop(name, None)
            self._query_pause_ms.pop(name, None)
        if order.fills_missing:
            self._fills_at_ns.setdefault(name, self._ctx.now_ns + FIRST_FILLS_MS * NS_PER_MS)
        else:
            self._fills_at_ns.pop(name, None)

    @property
    def busy(self) -> bool:
        """Whether any order, or its fills, have to be asked for."""
        return bool(self._query_at_ns or self._fills_at_ns)

    def missing_fills(self) -> list[Order]:
        """The orders whose fills have to be asked for now."""
        due = []
        for name, at_ns in list(self._fills_at_ns.items()):
            order = self._orders.get(name)
            if order is None or not order.fills_missing:
                del self._fills_at_ns[name]
            elif self._ctx.now_ns >= at_ns:
                self._fills_at_ns[name] = self._ctx.now_ns + FILLS_AGAIN_MS * NS_PER_MS
                due.append(order)
        return due

    # -- questions ----------------------------------------------------------------------------------------------------

    def suspect(self, order: Order) -> None:
        """There is reason to doubt an order that should rest: ask for it now."""
        self._orders.doubted(order, self._ctx.now_ns)
        self._query_at_ns[order.client_order_id] = self._ctx.now_ns

    def ask_due(self) -> None:
        """Sends the queries that are due. Call it a few times a second."""
        for name, at_ns in list(self._query_at_ns.items()):
            order = self._orders.get(name)
            if order is None or not order.live:
                self._query_at_ns.pop(name, None)
                self._query_pause_ms.pop(name, None)
            elif self._ctx.now_ns >= at_ns and name not in self._asked:
                if not self._ask(order):
                    return
                pause = self._query_pause_ms.get(name, FIRST_QUERY_MS)
                self._query_pause_ms[name] = min(pause * 2, LAST_QUERY_MS)
                self._query_at_ns[name] = self._ctx.now_ns + self._proof.until_next_query_ms(order, pause) * NS_PER_MS

    def _ask(self, order: Order) -> bool:
        """Asks for one order. Returns whether there was room for the question."""
        if order.untriggered:
            self._calls.call("GET", "/fapi/v1/algoOrder", ask.parameters(algo_reference(order)), PendingAlgoQuery(order))
        elif self._ways.send("order.status", ask.parameters(reference(order)), PendingQuery(order)):
            return False
        self._asked[order.client_order_id] = self._ctx.venue_ms
        return True

    def ask_beyond_trigger(self, order: Order) -> None:
        """The algo methods do not know the order. They may have forgotten one that has ended, and it have become an ordinary one.

        So it counts as not found only when the ordinary methods do not know it either.
        """
        if not self._ways.send("order.status", ask.parameters(reference(order)), PendingQuery(order)):
            self._asked[order.client_order_id] = self._ctx.venue_ms

    def answered(self, order: Order) -> int:
        """A question about an order has come to its end. Returns the venue time at which it was asked; 0 when it is not known."""
        return self._asked.pop(order.client_order_id, 0)

    def not_found(self, order: Order, asked_ms: int) -> None:
        """A query, made at that venue time, did not find it."""
        counts_ns, name = self._proof.not_found(order, asked_ms), order.client_order_id
        if order.not_found == 1 and name in self._query_at_ns:
            # The next one that counts is not waited for any longer than it must be.
            self._query_at_ns[name] = min(self._query_at_ns[name], counts_ns)

    # -- the end of a doubt -------------------------------------------------------------------------------------------

    def absent(self, order: Order, asked_ms: int, *, nothing_missed: bool) -> None:
        """The list of open orders, asked for at `asked_ms`, does not hold it.

        The proof has five parts (faults.md 3): its request was dead by then; two queries some seconds apart did not find it, one of
        them after its death; it is not on the list; `nothing_missed`: no report or trade of its symbol can have escaped us, and the
        position is the sum of the fills.
        """
        if not (nothing_missed and self._proof.provable(order) and self._proof.dead(order, asked_ms)):
            return
        if order.acknowledged:
            self._reports.missing(order)
        else:
            self._reports.apply(order, OrderEvent.PROVED_ABSENT, "not at the venue")
            self._ctx.log(Level.WARNING, f"resolved: {describe(order)} was never accepted")
        self.watch(order)

    def give_up_old(self) -> None:
        """Says which orders need an operator; their exposure counts, and whatever the venue still says of them is heeded."""
        for order in list(self._orders.unsettled):
            since_ns = max(order.created_ns, self._began_ns) if order.state is OrderState.UNKNOWN else order.doubted_ns
            too_long = since_ns and self._ctx.now_ns - since_ns >= OPERATOR_AFTER_MS * NS_PER_MS
            unknown = too_long and (order.state is OrderState.UNKNOWN or order.state.resting)
            since_ms = max(order.triggered_ms, self._ctx.clock.venue_ms(self._began_ns))
            lost = order.state is OrderState.TRIGGERED and self._ctx.venue_ms - since_ms >= OPERATOR_AFTER_MS
            if unknown or lost:
                self._reports.apply(order, OrderEvent.UNPROVABLE, "its fate could not be proved")
                self._ctx.log(Level.ERROR, f"manual check needed: {describe(order)} could not be resolved")

    def resolve(self, order: Order, outcome: ManualResolution) -> Verdict:
        """An operator has looked at the venue and says what became of an order whose fate could not be proved."""
        if order.state is not OrderState.NEEDS_OPERATOR:
            text = f"cannot be resolved by hand: {describe(order)} (only NEEDS_OPERATOR orders can)"
            return Verdict(VerdictCode.NOT_AMENDABLE, text)
        if outcome is ManualResolution.FILLED:
            self._orders.filled_by_report(order)
        self._reports.apply(order, outcome.event, "resolved by hand")
        self._ctx.log(Level.WARNING, f"resolved by hand: {describe(order)}")
        self.watch(order)
        return ACCEPTED
