"""A guard: an overlay that lets a strategy take new risk only while the market is fit for it.

`review_intent` refuses what would add risk, each time in one sentence with both numbers; whatever only reduces a position passes.
The wrappers watch what the strategy is told, and pass it on untouched. Refusing alone would leave old quotes behind in a market
that runs away from them, so while the guard is shut, what rests and could add risk is withdrawn as well.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Generator
from decimal import Decimal
from typing import Any, Final

import attrs
from attrs import validators

from coldframe import (
    Amend,
    BookChanged,
    Cancel,
    Intent,
    OrderChanged,
    OrderState,
    OrderView,
    PartialBookChanged,
    Place,
    Quotes,
    Side,
    Target,
    View,
    hookimpl,
)
from coldframe_guard.quiet import QuietTime

_MINUTE_MS: Final = 60_000
_NOTHING: Final = Decimal(0)
_RESTING: Final = (OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED)

#: What a hook returns, and what a wrapper round it passes on.
Wrapper = Generator[None, list[Any], list[Any]]

_OPTIONAL_POSITIVE: Final = validators.optional(validators.gt(Decimal(0)))


def _quiet_times(_: object, __: object, spans: list[str]) -> None:
    for span in spans:
        QuietTime.parse(span)


class Guard:
    """An overlay: refuses new risk in wide, fast or quiet markets, and when too many orders were sent."""

    @attrs.frozen(kw_only=True)
    class Params:
        """Parameters of the guard; what is not given is not checked."""

        #: Widest spread between best bid and best ask, in basis points.
        max_spread_bps: Decimal | None = attrs.field(default=None, validator=_OPTIONAL_POSITIVE)
        #: Largest move of the middle of the book within `move_window_ms`, in basis points.
        max_move_bps: Decimal | None = attrs.field(default=None, validator=_OPTIONAL_POSITIVE)
        #: How long a move is remembered, in milliseconds.
        move_window_ms: int = attrs.field(default=1_000, validator=validators.ge(1))
        #: Most new orders of the strategy within one minute, in all its symbols.
        max_orders_per_minute: int | None = attrs.field(default=None, validator=validators.optional(validators.ge(1)))
        #: Spans of the day without new risk, as "HH:MM-HH:MM" in UTC; the end may lie on the next day.
        quiet_utc: list[str] = attrs.field(factory=list, validator=_quiet_times)

    def __init__(self, params: Params) -> None:
        self.params = params
        self._quiet = [QuietTime.parse(span) for span in params.quiet_utc]
        self._middles: defaultdict[str, deque[tuple[int, Decimal]]] = defaultdict(deque)
        self._orders: dict[str, int] = {}

    # -- what it refuses ----------------------------------------------------------------------------------------------

    @hookimpl
    def review_intent(self, intent: Intent, view: View) -> str | None:
        self._count_orders(view)
        symbol = _symbol_at_risk(intent, view)
        return None if symbol is None else self.against(symbol, view)

    def against(self, symbol: str, view: View) -> str | None:
        """Why there should be no new risk in a symbol now; None when nothing speaks against it."""
        return (
            self._against_time(view)
            or self._against_orders(view)
            or self._against_spread(symbol, view)
            or self._against_move(symbol, view)
        )

    def _against_time(self, view: View) -> str | None:
        now = next((quiet for quiet in self._quiet if quiet.covers(view.now_ms)), None)
        return None if now is None else now.sentence(view.now_ms)

    def _against_orders(self, view: View) -> str | None:
        limit = self.params.max_orders_per_minute
        if limit is None:
            return None
        sent = sum(1 for first_ms in self._orders.values() if first_ms > view.now_ms - _MINUTE_MS)
        return None if sent < limit else f"{sent} orders were sent within a minute, max_orders_per_minute allows {limit}"

    def _against_spread(self, symbol: str, view: View) -> str | None:
        limit, book = self.params.max_spread_bps, view.book(symbol)
        if limit is None or book.mid is None or book.best_ask is None or book.best_bid is None:
            return None
        spread = (book.best_ask - book.best_bid) * 10_000 / book.mid
        return None if spread <= limit else f"the spread of {symbol} is {spread:.2f} bps, max_spread_bps allows {limit:f} bps"

    def _against_move(self, symbol: str, view: View) -> str | None:
        limit, window_ms = self.params.max_move_bps, self.params.move_window_ms
        middles = [middle for _, middle in self._recent(symbol, view.now_ms)]
        if limit is None or not middles:
            return None
        low = min(middles)
        move = (max(middles) - low) * 10_000 / low
        return None if move <= limit else f"{symbol} moved {move:.2f} bps within {window_ms} ms, max_move_bps allows {limit:f} bps"

    # -- what it watches ----------------------------------------------------------------------------------------------

    @hookimpl(wrapper=True)
    def on_book(self, event: BookChanged | PartialBookChanged, view: View) -> Wrapper:
        """Remembers where the market was; while the guard is shut, adds a withdrawal to what the strategy wants."""
        self._remember(event.symbol, view)
        wanted = yield
        risky = [
            order
            for order in view.orders(event.symbol)
            if order.state in _RESTING and _order_adds_risk(order, order.remaining, view)
        ]
        if not risky or self.against(event.symbol, view) is None:
            return wanted
        return [*wanted, Quotes(event.symbol), [Cancel(intent.client_order_id) for intent in risky]]

    @hookimpl(wrapper=True)
    def on_order(self, event: OrderChanged, view: View) -> Wrapper:
        """Counts orders that were sent without an intent of their own: to restore quotes, or to reach a target."""
        self._orders.setdefault(event.client_order_id, view.now_ms)
        self._count_orders(view)
        return (yield)

    def _count_orders(self, view: View) -> None:
        """Keeps when each order was first seen, for a minute and as long as it lives, so that none is counted twice."""
        alive = {order.client_order_id: view.now_ms for order in view.orders()}
        old_ms = view.now_ms - _MINUTE_MS
        recent = {name: first_ms for name, first_ms in self._orders.items() if first_ms > old_ms or name in alive}
        self._orders = alive | recent

    def _remember(self, symbol: str, view: View) -> None:
        middle, recent = view.book(symbol).mid, self._recent(symbol, view.now_ms)
        if middle is not None and (not recent or recent[-1][1] != middle):
            recent.append((view.now_ms, middle))

    def _recent(self, symbol: str, now_ms: int) -> deque[tuple[int, Decimal]]:
        """Where the market has been within the window: its changes, and before them the place where the window found it."""
        recent = self._middles[symbol]
        while len(recent) > 1 and recent[1][0] <= now_ms - self.params.move_window_ms:
            recent.popleft()
        return recent


# -- what adds risk ---------------------------------------------------------------------------------------------------


def _symbol_at_risk(intent: Intent, view: View) -> str | None:
    """The symbol in which an intent could make a position larger; None when it can only make it smaller."""
    match intent:
        case Place(symbol=symbol, closing=False):
            position = view.position(symbol, intent.position_side)
            return symbol if _adds_risk(position, intent.side, intent.quantity) else None
        case Amend(name, _, quantity):
            order = next((order for order in view.orders() if order.client_order_id == name), None)
            if order is None:
                return None
            remaining = order.remaining if quantity is None else quantity - order.filled
            return order.symbol if _order_adds_risk(order, remaining, view) else None
        case Quotes(symbol, bids, asks, position_side=held):
            sums = {
                side: sum((quote.quantity for quote in quotes), _NOTHING) for side, quotes in ((Side.BUY, bids), (Side.SELL, asks))
            }
            return symbol if any(_adds_risk(view.position(symbol, held), side, total) for side, total in sums.items()) else None
        case Target(symbol, wanted):
            change = wanted - view.position(symbol)
            side = Side.BUY if change > 0 else Side.SELL
            return symbol if _adds_risk(view.position(symbol), side, abs(change)) else None
        case _:  # cancels and wake-ups add no risk
            return None


def _order_adds_risk(order: OrderView, remaining: Decimal, view: View) -> bool:
    return _adds_risk(view.position(order.symbol, order.position_side), order.side, remaining)


def _adds_risk(position: Decimal, side: Side, quantity: Decimal) -> bool:
    """Whether trading so much on a side could do more than close the position."""
    return quantity > max(-side.sign * position, _NOTHING)


@hookimpl
def provide_strategies() -> dict[str, type]:
    return {"guard": Guard}
