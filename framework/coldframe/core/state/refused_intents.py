"""Refused intents, counted for the journal: one row for each second, strategy, symbol and verdict, however many there were.

A strategy that wants the same impossible thing at every change of the book is refused hundreds of times a second. What a reader
needs is the first of them in full and how many there were. How many rows a second can have is bounded by the configuration.
"""

from __future__ import annotations

from typing import Final

import attrs

from coldframe.core.state.journal_codec import UNJUDGED, Body, intent_body
from coldframe.core.state.orders import Orders
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.model.intents import Amend, Cancel, Verdict, VerdictCode

_MS_PER_SECOND: Final = 1_000


@attrs.frozen
class _Key:
    """What is counted together."""

    second: int
    strategy: str
    symbol: str
    code: VerdictCode


class RefusedIntents:
    """Counts refusals until their second is over. Times are given, in milliseconds."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        #: The first refusals of rows that are not written down yet.
        self.unwritten: dict[_Key, Body] = {}
        self._times: dict[_Key, int] = {}
        self._asked_for = 0

    def count(self, account: StrategyAccount, wanted: object, verdict: Verdict, now_ms: int, times: int = 1) -> None:
        """What a strategy wanted was refused, so many times."""
        key = _Key(now_ms // _MS_PER_SECOND, account.id, self._symbol(account, wanted, verdict), verdict.code)
        if key not in self.unwritten:
            self.unwritten[key] = {**intent_body(account.id, wanted, verdict), "symbol": key.symbol, "first_ms": now_ms}
        self._times[key] = self._times.get(key, 0) + times

    def drain(self, now_ms: int, *, all_of_them: bool = False) -> list[Body]:
        """The rows that are complete now, in the order of their first refusals: their second is over, or the run is."""
        if not self.unwritten:
            return []
        second = now_ms // _MS_PER_SECOND
        over = [key for key in self.unwritten if all_of_them or key.second != second]
        return [{**self.unwritten.pop(key), "count": self._times.pop(key)} for key in over]

    def ask_wake_ms(self, now_ms: int) -> int:
        """In how long `take` has to be called, where that was not asked for in this second yet; else 0."""
        second = now_ms // _MS_PER_SECOND
        if not self.unwritten or self._asked_for == second:
            return 0
        self._asked_for = second
        return _MS_PER_SECOND - now_ms % _MS_PER_SECOND

    def _symbol(self, account: StrategyAccount, wanted: object, verdict: Verdict) -> str:
        """The symbol that an intent is about; empty where it has none or one that is not the strategy's."""
        if verdict.code in UNJUDGED:
            return ""
        if isinstance(wanted, Amend | Cancel):
            order = self._orders.get(wanted.client_order_id)
            return order.symbol if order is not None and order.symbol in account.symbols else ""
        symbol = getattr(wanted, "symbol", None)
        return symbol if symbol in account.symbols else ""
