"""Fills that the venue has counted and not told: said once for each symbol, with what would end it.

An answer may say that an order has traded while neither the user stream nor the list of trades tells the trade. Then the position
of its symbol is not known: targets there wait, and what the order may have done counts at its worst. No other line tells of that.
"""

from __future__ import annotations

from typing import Final

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.execution_reports import describe
from coldframe.core.execution.inquiry import FILLS_AGAIN_MS
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.orders import Order
from coldframe.model.effects import Level
from coldframe.units import NS_PER_MS, plain

#: Trades usually follow within a moment: for how long they must be missing before that is worth a line (milliseconds).
SAY_AFTER_MS: Final = 6_000


class OwedFills:
    """Looks after the orders whose trades are missing. Call `look` a few times a second."""

    def __init__(self, state: EngineState, ctx: StepContext) -> None:
        self._ctx = ctx
        self._orders = state.orders
        self._since_ns: dict[str, int] = {}
        #: Symbols whose missing trades were told.
        self._said: set[str] = set()

    def log_changes(self) -> None:
        """Says what stands still by now, and what goes on again."""
        missing = {order.client_order_id: order for order in self._orders.missing_fills}
        self._since_ns = {name: self._since_ns.get(name, self._ctx.now_ns) for name in missing}
        for name, order in missing.items():
            late = self._ctx.now_ns - self._since_ns[name] >= SAY_AFTER_MS * NS_PER_MS
            if late and order.symbol not in self._said:
                self._said.add(order.symbol)
                self._ctx.log(Level.WARNING, _no_new_risk(order))
        for symbol in self._said - {order.symbol for order in missing.values()}:
            self._said.discard(symbol)
            self._ctx.log(Level.INFO, f"{symbol}: new risk again: every fill of the bot's orders there is known again")


def _no_new_risk(order: Order) -> str:
    owed = plain(order.seen_filled - order.filled)
    return (
        f"{order.symbol}: no new risk: the venue reports {owed} of {describe(order)} as traded but lists no trade of it, so the"
        f" position is not known; new risk again when the user stream or the list of trades, which is asked for every"
        f" {FILLS_AGAIN_MS / 1000:g} s, brings the trade"
    )
