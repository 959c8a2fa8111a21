"""What the account holds that no strategy of this run has made: orders and positions of people, programs, the venue.

External fills are never invented: each comes from a report, or from a query that names a trade of no order here. Each is
booked here, whole; what of it takes away from a strategy is handed over to that (`coldframe.core.state.holdings`). What stands at
the start is refused, ignored or adopted (faults.md O20, O21, O24).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

import attrs

from coldframe.core.state.journal_codec import booking_body, fill_body
from coldframe.core.state.orders import Fill
from coldframe.core.state.positions import EXTERNAL, PositionKey, StrategyPositions
from coldframe.core.state.step import Step
from coldframe.core.state.trading_state import Suspensions
from coldframe.enums import OrderStatus, PositionSide, Side
from coldframe.model.effects import Level
from coldframe.model.events import PositionCause
from coldframe.model.journal import RowKind
from coldframe.units import ZERO, exact, plain
from coldframe.wire.account import OrderReport
from coldframe.wire.replies import OrderReply

#: Client order ids of the venue's own engines, and what they mean (protocol.md 8.2).
VENUE_PREFIXES: Final = {
    "autoclose-": PositionCause.LIQUIDATION,
    "adl_autoclose": PositionCause.DELEVERAGING,
    "settlement_autoclose-": PositionCause.SETTLEMENT,
    "delivery_autoclose-": PositionCause.DELIVERY,
}
#: So many fills of others are remembered; those above their symbol's mark always are, so that none of them is booked twice.
FILLS_LIMIT: Final = 20_000
_ALIVE: Final = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


class ExternalPolicy(StrEnum):
    """What happens to positions and orders that are found at the start and are not ours."""

    REFUSE = "refuse"
    IGNORE = "ignore"
    ADOPT = "adopt"


@attrs.frozen
class ExternalPosition:
    """A part of the account's position that no strategy has: signed, with the entry price that the venue names."""

    key: PositionKey
    quantity: Decimal
    entry_price: Decimal
    #: What the account holds in all, and what of it our strategies do.
    on_account: Decimal = ZERO
    ours: Decimal = ZERO

    @property
    def theirs(self) -> Decimal:
        """What is not our strategies', known from earlier or not."""
        return self.on_account - self.ours

    @property
    def where(self) -> str:
        symbol, side = self.key
        return symbol if side is PositionSide.BOTH else f"{symbol} {side}"

    def __str__(self) -> str:
        ours = plain(self.ours) if self.ours else "0"
        held = f"the account holds {plain(self.on_account)}, the strategies {ours}"
        return f"position of {plain(self.theirs)} {self.where} ({held}; entry price {plain(self.entry_price)})"


def cause_of(client_order_id: str) -> PositionCause:
    """Who trades with an order of others: one of the venue's engines, or another client."""
    engines = (cause for prefix, cause in VENUE_PREFIXES.items() if client_order_id.startswith(prefix))
    return next(engines, PositionCause.OTHER_CLIENT)


def only_owner(symbol: str, symbols: Mapping[str, Iterable[str]]) -> str | None:
    """The only strategy that trades a symbol; None when there is none, or more than one."""
    owners = [strategy for strategy, traded in symbols.items() if symbol in traded]
    return owners[0] if len(owners) == 1 else None


@attrs.frozen
class ExternalOrder:
    """An external order that may still trade."""

    symbol: str
    order_id: int
    client_order_id: str
    side: Side
    remaining: Decimal
    price: Decimal


class External:
    """Everything external: fills, position, open orders. `account` holds the positions that no strategy has."""

    def __init__(
        self,
        ctx: Step,
        trading: Suspensions,
        trade_cursors: Mapping[str, int],
        account: StrategyPositions | None = None,
        fills_limit: int = FILLS_LIMIT,
    ) -> None:
        self._ctx = ctx
        self._trading = trading
        self._trade_cursors = trade_cursors
        self.fills_limit = fills_limit
        self.account = account or StrategyPositions()
        self.orders: dict[tuple[str, int], ExternalOrder] = {}
        self._fills: dict[tuple[str, int, int], Fill] = {}
        #: Trades that a query knows of and that belong to no order known here: perhaps to one whose id is still to come.
        self.unmatched: dict[tuple[str, int, int], Fill] = {}
        #: Orders (symbol, venue's id) that the venue has named as external when it was asked, and what caused them.
        self.marked_external: dict[tuple[str, int], PositionCause] = {}
        #: Orders that the venue was asked for and has not named.
        self.unnamed: dict[tuple[str, int], None] = {}
        #: Trades from before the start that no order here has made: they may explain what has changed since the last run.
        self.before: dict[tuple[str, int, int], Fill] = {}

    def notional(self, mark_prices: Mapping[str, Decimal]) -> Decimal:
        """Their positions, and what their open orders may add."""
        resting = sum(
            (order.remaining * (order.price or mark_prices.get(order.symbol, ZERO)) for order in self.orders.values()), ZERO
        )
        return self.account.notional(mark_prices) + resting

    def report(self, report: OrderReport) -> PositionCause:
        """Takes a report about an external order. Returns what caused it."""
        self._track(
            ExternalOrder(
                report.symbol,
                report.order_id,
                report.client_order_id,
                report.side,
                exact(report.quantity) - exact(report.filled_quantity),
                exact(report.price),
            ),
            report.status,
        )
        return cause_of(report.client_order_id)

    def log_activity(self, cause: PositionCause, symbol: str, text: str, *, what: str = "an order") -> None:
        """Says what others do; what the venue's own engines do shuts the symbol."""
        engine = cause in VENUE_PREFIXES.values()
        what = cause.value if engine else f"{what} of no strategy"
        self._ctx.log(Level.ERROR if engine else Level.WARNING, f"{what}: {text}")
        if engine and self._trading.halt_symbol(symbol, f"{cause} by the venue", self._ctx.now_ms):
            self._ctx.log(Level.ERROR, f"{symbol} is halted: no new risk there until it is resumed")

    def listed(self, replies: Iterable[OrderReply]) -> None:
        """The open orders of others, as a round has found them: all of them."""
        self.orders.clear()
        for reply in replies:
            rest = exact(reply.orig_qty) - exact(reply.executed_qty)
            self._track(
                ExternalOrder(reply.symbol, reply.order_id, reply.client_order_id, reply.side, rest, exact(reply.price)),
                reply.status,
            )

    def _track(self, order: ExternalOrder, status: OrderStatus) -> None:
        if status in _ALIVE:
            self.orders[order.symbol, order.order_id] = order
        else:
            self.orders.pop((order.symbol, order.order_id), None)

    def book(self, fill: Fill, cause: PositionCause) -> bool:
        """Books an external fill, all of it. Returns whether it was new.

        What happened while the bot was off is news also where the scan of the start has passed it by now.
        """
        self.unmatched.pop(fill.key, None)
        missed = cause is PositionCause.WHILE_OFF and fill.key not in self._fills
        if self._known(fill) and not missed:
            return False
        self.remember(fill)
        position = self.account.position(fill.symbol, fill.position_side)
        position.fill(fill.side, fill.quantity, fill.price)
        body = fill_body(EXTERNAL, "", fill, position.quantity)
        self._ctx.record(RowKind.FILL, "", {**body, "cause": cause.value})
        self.account.fills += 1
        if fill.fee is not None:
            self.account.pay(fill.fee, fill.fee_asset, fill.notional)
        return True

    def remember(self, fill: Fill) -> None:
        """Remembers an external fill as booked, so that it is not booked again."""
        self._fills[fill.key] = fill
        self._forget_oldest()

    def _known(self, fill: Fill) -> bool:
        """Whether a fill is known: it is booked, or a completed scan has brought everything up to it (see `core.tradescan`)."""
        return fill.key in self._fills or fill.trade_id <= self._trade_cursors.get(fill.symbol, 0)

    def _forget_oldest(self) -> None:
        """Keeps memory bounded, but for fills above the mark: a query may still bring those again."""
        for _ in range(2):
            if len(self._fills) <= self.fills_limit:
                return
            key, fill = next(iter(self._fills.items()))
            del self._fills[key]
            if fill.trade_id > self._trade_cursors.get(fill.symbol, 0):
                self._fills[key] = fill  # looked at again when its turn comes

    def give_back(self, key: tuple[str, int, int]) -> bool:
        """A fill turns out to be one of ours: what was booked here is taken out again. Returns whether there was anything."""
        self.unmatched.pop(key, None)
        fill = self._fills.pop(key, None)
        if fill is None:
            return False
        self.account.position(fill.symbol, fill.position_side).change(-fill.signed, fill.price)
        self.account.fills -= 1
        if fill.fee is not None:
            self.account.pay(-fill.fee, fill.fee_asset, -fill.notional)
        where = (fill.symbol, fill.position_side)
        body = booking_body(EXTERNAL, PositionCause.OWN_AFTER_ALL, key=where, quantity=-fill.signed, price=fill.price)
        told = {"fills": -1, "fee": str(-(fill.fee or ZERO)), "asset": fill.fee_asset if fill.fee is not None else ""}
        trade = {"trade": [fill.trade_id, fill.order_id], "taken_back": True}
        self._ctx.record(RowKind.BOOKING, fill.symbol, {**body, **told, **trade})
        return True

    def mark_external(self, symbol: str, order_id: int, client_order_id: str) -> None:
        """The venue has named an order of no strategy."""
        self.marked_external[symbol, order_id] = cause_of(client_order_id)
        if len(self.marked_external) > self.fills_limit:
            del self.marked_external[next(iter(self.marked_external))]

    def not_named(self, symbol: str, order_id: int) -> None:
        """The venue was asked for an order, and did not name it."""
        self.unnamed[symbol, order_id] = None
        if len(self.unnamed) > self.fills_limit:
            del self.unnamed[next(iter(self.unnamed))]

    def traded_before(self, fill: Fill) -> None:
        """A trade of no order here, from before the start."""
        self.before[fill.key] = fill

    def started(self) -> None:
        """The start has compared everything: what was traded before it is settled."""
        self.before.clear()

    def matched(self, fill: Fill) -> None:
        """A trade that had no order here turns out to be one of ours."""
        self.before.pop(fill.key, None)
        self.unmatched.pop(fill.key, None)

    def keep_unmatched(self, fill: Fill) -> None:
        """A trade that no order explains yet."""
        if not self._known(fill):
            self.unmatched[fill.key] = fill
