"""Which part of a history a call shows: how wide its window may be, how far back it reaches, how long its page is.

Source: protocol.md 6.4 and 3 ("start/end", "3 months"), `seeds/004`, codes -1023, -1128, -4165.
"""

from __future__ import annotations

from typing import Final, TypeVar

import attrs

from coldframe.exchange.endpoints.requester import page_length, sent
from coldframe.exchange.refusals import refuse
from coldframe.exchange.trading.entities import Order
from coldframe.wire.requests import Fault, Span

T = TypeVar("T")

DAY_MS: Final = 86_400_000
#: How long an order without a fill is found after it ended, and how long any order is (milliseconds).
_UNFILLED_MS: Final = 3 * DAY_MS
_FOUND_MS: Final = 90 * DAY_MS


@attrs.frozen(kw_only=True)
class HistoryLimits:
    """The rules of one history, in days and rows; None where there is no bound.

    `widest` is the longest window that a query may name and the length of one of which it names an end only; `usual_days` is what
    a query without times sees; `kept` is how far back rows are shown at all.
    """

    widest: int | None
    usual_days: int | None
    kept: int | None
    usual: int = 500
    longest: int = 1000


ORDERS: Final = HistoryLimits(widest=7, usual_days=7, kept=90)
TRADES: Final = HistoryLimits(widest=7, usual_days=7, kept=90)
ALGOS: Final = HistoryLimits(widest=7, usual_days=7, kept=90)
FORCED: Final = HistoryLimits(widest=7, usual_days=7, kept=90, usual=50, longest=100)
AMENDMENTS: Final = HistoryLimits(widest=None, usual_days=None, kept=90, usual=50, longest=100)
INCOME: Final = HistoryLimits(widest=None, usual_days=7, kept=90, usual=100)
MARGIN: Final = HistoryLimits(widest=30, usual_days=30, kept=30, longest=500)
FUNDING: Final = HistoryLimits(widest=None, usual_days=None, kept=None, usual=100)
STATISTICS: Final = HistoryLimits(widest=None, usual_days=30, kept=30, usual=30, longest=500)


@attrs.frozen
class HistoryWindow:
    """From and to, both included (epoch milliseconds), and the page: from the oldest row on, or the latest ones."""

    start_ms: int
    end_ms: int
    limit: int
    from_oldest: bool

    def holds(self, at_ms: object) -> bool:
        """Whether a row of that time is in the window."""
        return isinstance(at_ms, int) and self.start_ms <= at_ms <= self.end_ms

    def page(self, rows: list[T]) -> list[T]:
        """The rows that one answer holds, of rows from the oldest to the latest."""
        return rows[: self.limit] if self.from_oldest else rows[-self.limit :]


def window(history: HistoryLimits, request: Span, now_ms: int, *, by_id: bool = False) -> HistoryWindow | Fault:
    """The window that a query names, or why it may not. With `by_id` it begins at an id, and times bound it only where sent."""
    limit = page_length(request.limit, usual=history.usual, longest=history.longest)
    if isinstance(limit, Fault):
        return limit
    start, end = sent(request.start_time), sent(request.end_time)
    widest = history.widest * DAY_MS if history.widest is not None else None
    if start is not None and end is not None:
        if start > end:
            return refuse(-1023)
        if widest is not None and end - start > widest:
            return refuse(-4165, history.widest)
    oldest = now_ms - history.kept * DAY_MS if history.kept is not None else 0
    first, last = _bounds(start, end, widest, now_ms)
    if start is None and end is None and history.usual_days is not None and not by_id:
        first = now_ms - history.usual_days * DAY_MS
    return HistoryWindow(max(first, oldest), last, limit, by_id or start is not None)


def _bounds(start: int | None, end: int | None, widest: int | None, now_ms: int) -> tuple[int, int]:
    """From and to: the end that a query does not name lies as far away as a window may be wide."""
    if start is not None:
        return start, end if end is not None else start + widest if widest is not None else now_ms
    if end is not None:
        return end - widest if widest is not None else 0, end
    return 0, now_ms


def found(order: Order, now_ms: int) -> bool:
    """Whether queries find an order: three days long when it ended without a fill, else 90 days (protocol.md 6.4)."""
    age_ms = now_ms - order.created_ms
    unfilled = not order.open and not order.filled
    return age_ms <= (_UNFILLED_MS if unfilled else _FOUND_MS) or order.open
