"""What the account holds that no strategy of this run has made: orders and positions of a human being, or of the venue's engines.

External fills are booked apart and named, never mixed into a strategy's, and never invented: each comes from a report, or from a
query that knows of a trade nobody else claims. What stands at the start is refused, ignored or adopted (faults.md O20, O21, O24).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

import attrs

from coldframe.core.context import Context
from coldframe.core.halts import Halts
from coldframe.core.journal import EXTERNAL, booking_body, fill_body
from coldframe.core.orders import Fill
from coldframe.core.positions import PositionKey, SubAccount
from coldframe.model.effects import Level
from coldframe.model.journal import RowKind
from coldframe.terms import OrderStatus, PositionSide, Side
from coldframe.units import ZERO, exact, plain
from coldframe.wire.account import OrderReport
from coldframe.wire.replies import OrderReply

#: Client order ids of the venue's own engines, and what they mean (protocol.md 8.2).
VENUE_PREFIXES: Final = {
    "autoclose-": "liquidation",
    "adl_autoclose": "auto-deleveraging",
    "settlement_autoclose-": "settlement",
    "delivery_autoclose-": "delivery",
}
#: So many fills of others are remembered; those above their symbol's mark always are, so that none of them is booked twice.
FILLS_LIMIT: Final = 20_000
_ALIVE: Final = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


class Foreign(StrEnum):
    """What happens to positions and orders that are found at the start and are not ours."""

    REFUSE = "refuse"
    IGNORE = "ignore"
    ADOPT = "adopt"


@attrs.frozen
class ForeignPosition:
    """A part of the account's position that nobody here has: signed, with the entry price that the venue names."""

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
        held = f"the account holds {plain(self.on_account)}, our strategies {plain(self.ours)}"
        return f"position of {plain(self.theirs)} {self.where} ({held}; entry price {plain(self.entry_price)})"


def engine_of(client_order_id: str) -> str:
    """Which engine of the venue an order is from; empty when it is from none."""
    return next((text for prefix, text in VENUE_PREFIXES.items() if client_order_id.startswith(prefix)), "")


def only_owner(symbol: str, symbols: Mapping[str, Iterable[str]]) -> str | None:
    """The only strategy that trades a symbol; None when there is none, or more than one."""
    owners = [strategy for strategy, traded in symbols.items() if symbol in traded]
    return owners[0] if len(owners) == 1 else None


@attrs.frozen
class ExternalOrder:
    """An order of somebody else that may still trade."""

    symbol: str
    order_id: int
    client_order_id: str
    side: Side
    remaining: Decimal
    price: Decimal


class Others:
    """Everything external: fills, position, open orders. `account` is theirs as a sub-account is a strategy's."""

    def __init__(self, ctx: Context, halts: Halts, marks: Mapping[str, int]) -> None:
        self._ctx = ctx
        self._halts = halts
        self._marks = marks
        self.fills_limit = FILLS_LIMIT
        self.account = SubAccount()
        self.orders: dict[tuple[str, int], ExternalOrder] = {}
        self._fills: dict[tuple[str, int, int], Fill] = {}
        #: Trades that a query knows of and that belong to no order known here: perhaps to one whose id is still to come.
        self.unclaimed: dict[tuple[str, int, int], Fill] = {}
        #: Orders (symbol, venue's id) that the venue has named as somebody else's when it was asked.
        self.disowned: dict[tuple[str, int], None] = {}

    def notional(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Their positions, and what their open orders may add."""
        resting = sum((one.remaining * (one.price or marks.get(one.symbol, ZERO)) for one in self.orders.values()), ZERO)
        return self.account.notional(marks) + resting

    def report(self, report: OrderReport, fill: Fill | None) -> bool:
        """A report about an order that is none of ours. Returns whether it brought a new fill."""
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
        if fill is not None and not self.book(fill):
            return False
        engine = engine_of(report.client_order_id)
        what = engine or "an order that is not ours"
        text = f"{what}: {report.symbol} {report.side} {report.quantity} {report.execution}, filled {report.filled_quantity}"
        self._ctx.log(Level.ERROR if engine else Level.WARNING, text)
        if engine and self._halts.halt_symbol(report.symbol, f"{engine} by the venue"):
            self._ctx.log(Level.ERROR, f"{report.symbol} is halted: no new risk there until it is resumed")
        return fill is not None

    def listed(self, replies: Iterable[OrderReply]) -> None:
        """The open orders of others, as a round has found them: all of them."""
        self.orders.clear()
        for one in replies:
            rest = exact(one.orig_qty) - exact(one.executed_qty)
            self._track(ExternalOrder(one.symbol, one.order_id, one.client_order_id, one.side, rest, exact(one.price)), one.status)

    def _track(self, order: ExternalOrder, status: OrderStatus) -> None:
        if status in _ALIVE:
            self.orders[order.symbol, order.order_id] = order
        else:
            self.orders.pop((order.symbol, order.order_id), None)

    def book(self, fill: Fill) -> bool:
        """Books a fill of somebody else. Returns whether it was new."""
        self.unclaimed.pop(fill.key, None)
        if self._known(fill):
            return False
        self._fills[fill.key] = fill
        self._forget_oldest()
        position = self.account.position(fill.symbol, fill.position_side)
        position.fill(fill.side, fill.quantity, fill.price)
        self._ctx.record(RowKind.FILL, "", fill_body(EXTERNAL, "", fill, position.quantity))
        self.account.fills += 1
        if fill.fee is not None:
            self.account.pay(fill.fee, fill.fee_asset, fill.notional)
        return True

    def _known(self, fill: Fill) -> bool:
        """Whether a fill is no news: it is booked, or a completed scan has brought everything up to it (see `core.tradescan`)."""
        return fill.key in self._fills or fill.trade_id <= self._marks.get(fill.symbol, 0)

    def _forget_oldest(self) -> None:
        """Keeps memory bounded, but for fills above the mark: a query may still bring those again."""
        for _ in range(2):
            if len(self._fills) <= self.fills_limit:
                return
            key, fill = next(iter(self._fills.items()))
            del self._fills[key]
            if fill.trade_id > self._marks.get(fill.symbol, 0):
                self._fills[key] = fill  # looked at again when its turn comes

    def give_back(self, key: tuple[str, int, int]) -> bool:
        """A fill turns out to be one of ours: what was booked here is taken out again. Returns whether there was anything."""
        self.unclaimed.pop(key, None)
        fill = self._fills.pop(key, None)
        if fill is None:
            return False
        back = Side.SELL if fill.side is Side.BUY else Side.BUY
        self.account.position(fill.symbol, fill.position_side).fill(back, fill.quantity, fill.price)
        self.account.fills -= 1
        if fill.fee is not None:
            self.account.pay(-fill.fee, fill.fee_asset, -fill.notional)
        signed = -fill.side.sign * fill.quantity
        where = (fill.symbol, fill.position_side)
        body = booking_body(EXTERNAL, "a fill of ours after all", key=where, quantity=signed, price=fill.price)
        told = {"fills": -1, "fee": str(-(fill.fee or ZERO)), "asset": fill.fee_asset if fill.fee is not None else ""}
        self._ctx.record(RowKind.BOOKING, fill.symbol, {**body, **told})
        return True

    def disown(self, symbol: str, order_id: int) -> None:
        """The venue has named an order, and it is none of ours."""
        self.disowned[symbol, order_id] = None
        if len(self.disowned) > self.fills_limit:
            del self.disowned[next(iter(self.disowned))]

    def wait(self, fill: Fill) -> None:
        """A trade that nobody claims yet."""
        if not self._known(fill):
            self.unclaimed[fill.key] = fill
