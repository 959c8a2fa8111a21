"""Whether an order is moved by amending it, or by cancelling it and placing another one: what refused amendments say.

Some refusals hold for this one request (a price outside the filters), some for the order (-5026: amended too often), some for every
order of the run (the method does not exist). A quote that cannot be amended must not stay where it is: it is cancelled, and placed
anew when the cancel is confirmed, so that nothing is alive twice. Source: protocol.md 7.3 and 9; docs/decisions/065.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.execution_reports import describe
from coldframe.core.state.orders import Order
from coldframe.model.effects import Level
from coldframe.wire.codes import CodeClass, classify
from coldframe.wire.codes import describe as describe_code

#: Codes that refuse every amendment of this order: symbol not in trading status, not a LIMIT order, amended too often, reduce-only
#: where the venue's order is not.
FOR_THE_ORDER: Final = (-5024, -5025, -5026, -5047)
#: The one of them that is about the symbol: it may trade again.
SYMBOL_CLOSED: Final = -5024
#: Codes that refuse the method itself: no such method, not allowed currently, no such path.
FOR_THE_RUN: Final = (-1020, -4084, -5000)
#: So many amendments in a row that come to nothing are enough, whatever the reason.
MOST_FAILURES: Final = 3
#: So many orders in a row whose amendments were refused for good before any succeeded: none is tried in their symbol any more.
MOST_ORDERS: Final = 3


class Amending:
    """What of amendments still makes sense in this run."""

    def __init__(self, ctx: StepContext) -> None:
        self._ctx = ctx
        #: Why no order is amended any more in this run; empty while orders are.
        self.stopped = ""
        #: The same by symbol.
        self.stopped_in: dict[str, str] = {}
        #: By symbol, the orders in a row that were refused for good without one amendment that was accepted.
        self._in_a_row: dict[str, int] = {}

    def why_not(self, order: Order) -> str:
        """Why an order cannot be amended any more; empty while it can."""
        if order.unamendable:
            return "the venue refuses its amendments for good"
        return self.stopped or self.stopped_in.get(order.symbol, "")

    def replaces(self, order: Order, price: Decimal, remaining: Decimal) -> bool:
        """Whether an order has to be cancelled and placed anew to stand at this price with so much left to trade.

        Where amendments fail for reasons that may pass, an order that stands where it should and only has to grow is left alone.
        """
        grows = price == order.price and remaining > order.remaining
        return bool(self.why_not(order)) or (order.failed_amendments >= MOST_FAILURES and not grows)

    def accepted(self, order: Order) -> None:
        """The venue has amended an order."""
        order.amendment_accepted()
        self._in_a_row.pop(order.symbol, None)

    def failed(self, order: Order, code: int) -> bool:
        """An amendment of a live order came to nothing; `code` is 0 where the venue did not say why. Returns whether for good.

        What a wrong clock causes says nothing about amendments.
        """
        if classify(code) is CodeClass.CLOCK:
            return False
        for_good = code in FOR_THE_ORDER or code in FOR_THE_RUN
        order.amendment_failed(for_good=code in FOR_THE_ORDER)
        if code in FOR_THE_RUN:
            self._stop(code)
        elif for_good:
            self._ctx.log(Level.INFO, f"not amended any more: {describe(order)}: {describe_code(code)}")
        unexplained = classify(code) in (CodeClass.UNKNOWN, CodeClass.OUR_BUG) and order.failed_amendments == MOST_FAILURES
        if ((order.unamendable and code != SYMBOL_CLOSED) or unexplained) and not order.amended:
            self._count(order.symbol, code)
        return for_good

    def _stop(self, code: int) -> None:
        if not self.stopped:
            self.stopped = f"the venue does not know amendments ({describe_code(code)})"
            self._ctx.log(Level.WARNING, f"{self.stopped}: {_INSTEAD}")

    def _count(self, symbol: str, code: int) -> None:
        self._in_a_row[symbol] = self._in_a_row.get(symbol, 0) + 1
        if self._in_a_row[symbol] >= MOST_ORDERS and symbol not in self.stopped_in:
            said = describe_code(code) if code else "no answer says why"
            self.stopped_in[symbol] = f"no amendment in {symbol} succeeds ({said})"
            self._ctx.log(Level.WARNING, f"{self.stopped_in[symbol]}: {_INSTEAD}")


_INSTEAD: Final = "for the rest of this run quotes are moved by cancelling them and placing new ones, and `Amend` is refused"
