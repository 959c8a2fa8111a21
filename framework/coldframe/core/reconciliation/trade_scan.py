"""Trades by query, page by page: what a scan has brought, and up to which trade everything of a symbol is known.

That trade is the symbol's mark. A trade at or below it is never news, whatever memory has forgotten of it by then; so the mark
moves only over what has been brought and given an owner, and it outlives a restart. Both orders of a trade with ourselves share
one id: the last id of a full page counts as brought only with the next page. Source: faults.md 3, O6, O7, O36, O37.
"""

from __future__ import annotations

from typing import Final

import attrs

from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.rest_queue import RestQueue
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.execution_reports import ExecutionReports
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.orders import Order
from coldframe.model.effects import Level
from coldframe.model.journal import RowKind
from coldframe.wire.replies import UserTrade

#: How many trades one query brings; a full page means that there are more.
TRADES_PAGE: Final = 500
#: How far a query reaches back before the last one that found nothing: answers may lag a little behind the venue's books.
_OVERLAP_MS: Final = 10_000
#: A query that names a time brings seven days from there, so an earlier time would leave out what is newest (protocol.md 4.4).
_WINDOW_MS: Final = 7 * 86_400_000


@attrs.frozen
class PendingTrades(RequestPurpose):
    """The purpose of a GET userTrades: a page of one symbol for a round, or of one order outside of rounds (round 0).

    `order_id` is 0 for all orders; `from_id` is where a page that follows another one begins.
    """

    round: int
    symbol: str
    order_id: int = 0
    from_id: int = 0


@attrs.frozen
class Page:
    """What a page has come to: how many of its trades were new to us, and the page that has to follow."""

    recovered: int
    further: PendingTrades | None


class TradeScan:
    """Asks for trades and takes them in."""

    def __init__(
        self, state: EngineState, ctx: StepContext, calls: RestQueue, reports: ExecutionReports, page: int = TRADES_PAGE
    ) -> None:
        self._state = state
        self._ctx = ctx
        self._calls = calls
        self._orders = state.orders
        self._reports = reports
        self._page = page
        #: By symbol, the trade up to which pages have brought everything; the mark follows it.
        self._reached: dict[str, int] = {}
        #: For symbols in which no query has ever found a trade: up to when (venue time) one has looked.
        self._looked_ms: dict[str, int] = {}
        #: When the first run on the account began: without a mark, what has been traded since then is looked at. 0: this is it.
        self._since_ms = 0

    def began_at(self, since_ms: int) -> None:
        """When the first run on the account began; 0: this is it."""
        self._since_ms = since_ms

    def ask(self, purpose: PendingTrades) -> None:
        """Asks for a page; that of an order only when it is not asked for already."""
        params: dict[str, str | int] = {"symbol": purpose.symbol, "limit": self._page}
        if purpose.order_id:
            if self._calls.busy(purpose):
                return
            params["orderId"] = purpose.order_id
        if purpose.from_id:
            params["fromId"] = purpose.from_id
        elif not purpose.order_id:
            params |= self._since(purpose.symbol)
        self._calls.call("GET", "/fapi/v1/userTrades", params, purpose)

    def want_fills(self, order: Order) -> None:
        """Fills of an order are missing although an answer has counted them: fetch them."""
        if order.order_id is not None:
            self.ask(PendingTrades(0, order.symbol, order.order_id))

    def _since(self, symbol: str) -> dict[str, str | int]:
        """From where on trades have to be looked at: what the stream has told sets no mark, it may have left something out before.

        From the last trade a query has brought, that one included, so that a fill in the same moment is not stepped over; while
        there is none, from the last question on, or from the start. At the start earlier runs may have left trades unseen: then
        from the first run on, because without a beginning the venue brings the latest trades, and a full page hides older ones.
        """
        known = max(self._reached.get(symbol, 0), self._orders.trade_cursors.get(symbol, 0))
        if known:
            return {"fromId": known}
        began_ms = self._state.baseline_ms or (self._since_ms and self._since_ms - _OVERLAP_MS)
        from_ms = self._looked_ms.get(symbol, began_ms)
        return {"startTime": max(from_ms, self._ctx.venue_ms - _WINDOW_MS + _OVERLAP_MS)} if from_ms else {}

    def apply_page(self, asked: PendingTrades, rows: list[UserTrade], begun_ms: int) -> Page:
        """Takes a page in. `begun_ms` is the venue time at which its round began; 0 for one that belongs to no round any more."""
        recovered = self._reports.trades(rows)
        if recovered:
            what = f"{recovered} fills of {asked.symbol} recovered that the user stream had not brought"
            self._ctx.log(Level.WARNING, what)
        last = max((row.id for row in rows), default=0)
        full = len(rows) >= self._page
        # A page of nothing but the trade it began with would come again and again.
        further = attrs.evolve(asked, from_id=last if last > asked.from_id else last + 1) if full else None
        if not asked.order_id:
            self._reach(asked.symbol, last - 1 if full else last, begun_ms)
        return Page(recovered, further)

    def _reach(self, symbol: str, trade_id: int, begun_ms: int) -> None:
        if trade_id > 0:
            self._reached[symbol] = max(self._reached.get(symbol, 0), trade_id)
            self.move_cursors(symbol)
        elif begun_ms:
            self._looked_ms[symbol] = begun_ms - _OVERLAP_MS

    def move_cursors(self, *symbols: str) -> None:
        """Lets cursors follow what has been brought, but not past a trade whose owner is not known yet. Without a symbol: all."""
        others = self._state.external
        undecided = [*others.unmatched.values(), *others.before.values()]
        for symbol in symbols or self._reached:
            waiting = [fill.trade_id - 1 for fill in undecided if fill.symbol == symbol]
            mark = min([self._reached.get(symbol, 0), *waiting])
            if mark > self._orders.trade_cursors.get(symbol, 0):
                self._orders.known_up_to({symbol: mark})
                self._ctx.record(RowKind.TRADE_CURSOR, symbol, {"trade_id": mark})
