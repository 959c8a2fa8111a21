"""What the venue says about orders, turned into state changes, fills and news for the strategies.

Answers, reports and queries all end here, so that every one of them is merged by the same rules whatever order they come in. An
order that nobody here has sent (placed by hand, by the venue's liquidation engine, by an earlier run) is external: its fills are
booked apart and named, never mixed into a strategy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

import attrs
from msgspec import UnsetType

from coldframe.core.context import Context
from coldframe.core.journal import EXTERNAL, fill_body
from coldframe.core.orders import Fill, Order, Orders
from coldframe.core.positions import SubAccount
from coldframe.core.risk import Trader
from coldframe.model.effects import Level
from coldframe.model.events import OrderChanged, OrderFilled
from coldframe.model.journal import RowKind
from coldframe.model.orders import Attempt, Happening, OrderState, Overlay
from coldframe.terms import ExecutionType, OrderStatus, PositionSide
from coldframe.units import ZERO, exact, plain
from coldframe.wire.account import EXPIRY_REASONS, OrderReport, TradeLite
from coldframe.wire.replies import OrderReply, UserTrade

#: Client order ids of the venue's own engines, and what they mean (protocol.md 8.2).
VENUE_PREFIXES: Final = {
    "autoclose-": "liquidation",
    "adl_autoclose": "auto-deleveraging",
    "settlement_autoclose-": "settlement",
    "delivery_autoclose-": "delivery",
}


@attrs.define
class Tally:
    """What became of our orders, for the summary."""

    sent: int = 0
    acked: int = 0
    rejected: int = 0
    cancelled: int = 0
    filled: int = 0


News = tuple[str, OrderChanged | OrderFilled]

#: States in which the venue has not confirmed an order yet.
_UNHEARD: Final = (OrderState.PREPARED, OrderState.SENT, OrderState.UNKNOWN)
#: So many fills of others are remembered, so that none of them is booked twice.
_EXTERNAL_LIMIT: Final = 20_000


class Evidence:
    """Merges everything that is said about orders. News for strategies gather in `news`, oldest first.

    A cancel or an amendment that has come to an end is no news, but wishes have to be compared again: `settled` names strategy and
    symbol, and whether it came to nothing.
    """

    def __init__(self, ctx: Context, orders: Orders, traders: Mapping[str, Trader]) -> None:
        self._ctx = ctx
        self._orders = orders
        self._traders = traders
        self._external_fills: dict[tuple[str, int, int], None] = {}
        self.external = SubAccount()
        self.tally = Tally()
        self.news: list[News] = []
        self.settled: dict[tuple[str, str], bool] = {}
        #: Asked why an order was cancelled at the venue, when the report does not say.
        self.explain: Callable[[Order, OrderReport], str] = lambda order, report: ""

    # -- what answers say ---------------------------------------------------------------------------------------------

    def happen(self, order: Order, happening: Happening, reason: str = "") -> None:
        """Lets something happen to an order that carries no more data than that."""
        before = order.state
        if self._orders.happen(order, happening, self._ctx.now_ns, reason):
            self._changed(order, before)

    def attempt(self, order: Order, attempt: Attempt) -> None:
        """Lets something happen to an order's cancel or amendment."""
        if self._orders.attempt(order, attempt) and order.overlay is Overlay.NONE:
            key = (order.strategy, order.symbol)
            refused = attempt in (Attempt.CANCEL_REFUSED, Attempt.AMEND_REFUSED, Attempt.NOT_WRITTEN)
            self.settled[key] = self.settled.get(key, False) or refused

    def reply(self, order: Order, reply: OrderReply) -> None:
        """An answer or a query that names the order: its id, its terms, its status, how much of it has traded."""
        self._identify(order, reply.order_id)
        at_ms = 0 if isinstance(reply.update_time, UnsetType) else reply.update_time
        self._adopt_terms(order, exact(reply.orig_qty), exact(reply.price), at_ms)
        self._see(order, reply.status, exact(reply.executed_qty), "")

    def triggered(self, order: Order) -> None:
        """A conditional order has become an ordinary one, or will in a moment: told once, before anything that it does then."""
        if order.untriggered:
            order.triggered_ms = self._ctx.venue_ms
            order.not_found = 0
            self.happen(order, Happening.SEEN_TRIGGERED)

    def _identify(self, order: Order, order_id: int) -> None:
        """Evidence names the ordinary order: one that waited for a trigger waits no more."""
        self.triggered(order)
        self._orders.identify(order, order_id)

    def _adopt_terms(self, order: Order, quantity: Decimal, price: Decimal, at_ms: int) -> None:
        """The venue's own idea of quantity and price: it may have cut the one (reduce-only) and chosen the other.

        What was true before an amendment must not undo it, so older terms are left alone.
        """
        if at_ms < order.terms_ms:
            return
        order.terms_ms = at_ms
        if quantity > 0:
            order.quantity = quantity
        if price > 0 and order.price is not None:
            order.price = price

    def _see(self, order: Order, status: OrderStatus, seen_filled: Decimal, reason: str) -> None:
        before = order.state
        if self._orders.see(order, status, seen_filled, self._ctx.now_ns, reason):
            self._changed(order, before)

    # -- what reports say ---------------------------------------------------------------------------------------------

    def report(self, report: OrderReport) -> Order | None:
        """ORDER_TRADE_UPDATE. Returns the order it speaks of; None when it is none of ours."""
        order = self._orders.find(report.symbol, report.client_order_id, report.order_id)
        if order is None:
            self._external_report(report)
            return None
        self._identify(order, report.order_id)
        self._adopt_terms(order, exact(report.quantity), exact(report.price), report.trade_ms)
        if report.execution is ExecutionType.AMENDMENT and order.amending(exact(report.price), exact(report.quantity)):
            self.attempt(order, Attempt.AMEND_DONE)
        if _traded(report):
            self.fill(order, _fill_of(report))
        reason = EXPIRY_REASONS.get(report.expiry_reason, "") if isinstance(report.expiry_reason, str) else ""
        reason = reason if reason not in ("", "none") else self.explain(order, report)
        self._see(order, report.status, exact(report.filled_quantity), reason)
        return order

    def lite(self, trade: TradeLite) -> Order | None:
        """TRADE_LITE: the fill, early and without its fee. Returns the order; None when it is none of ours."""
        order = self._orders.find(trade.symbol, trade.client_order_id, trade.order_id)
        if order is None:
            return None  # the full report follows and books it as external
        self._identify(order, trade.order_id)
        self._adopt_terms(order, exact(trade.quantity), exact(trade.price), trade.transaction_ms)
        fill = Fill(
            symbol=trade.symbol,
            trade_id=trade.trade_id,
            order_id=trade.order_id,
            side=trade.side,
            price=exact(trade.last_price),
            quantity=exact(trade.last_quantity),
            maker=trade.maker,
            trade_ms=trade.transaction_ms,
            position_side=order.position_side,
        )
        self.fill(order, fill)
        return order

    def trades(self, rows: list[UserTrade]) -> int:
        """Fills from a query. Returns how many of them were new: fills that the stream had not brought."""
        fresh = 0
        for row in rows:
            order = self._orders.find(row.symbol, "", row.order_id)
            if order is not None:
                fresh += self.fill(order, _fill_of_row(row))
        return fresh

    def fill(self, order: Order, fill: Fill) -> bool:
        """Books a fill to its order and its strategy's position. Returns whether it was new."""
        trader = self._traders[order.strategy]
        before = order.state
        if self._orders.book(order, fill, self._ctx.now_ns) is None:
            fee = self._orders.learn_fee(fill)
            if fee is not None:
                trader.account.pay(fee, fill.fee_asset)
                body = fill_body(order.strategy, order.client_order_id, fill, trader.account.net(fill.symbol))
                self._ctx.record(RowKind.FEE, order.client_order_id, body)
            return False
        position = trader.account.position(fill.symbol, fill.position_side)
        realized = position.fill(fill.side, fill.quantity, fill.price)
        trader.account.fills += 1
        body = fill_body(order.strategy, order.client_order_id, fill, position.quantity)
        self._ctx.record(RowKind.FILL, order.client_order_id, body)
        role = "maker" if fill.maker else "taker"
        self._ctx.log(
            Level.INFO,
            f"fill: {order.strategy} {fill.side} {plain(fill.quantity)} {fill.symbol} @ {plain(fill.price)} as {role},"
            f" position {plain(position.quantity)}",
        )
        if fill.fee is not None:
            trader.account.pay(fill.fee, fill.fee_asset)
        self.news.append((order.strategy, self._filled(order, fill, realized, position.quantity)))
        if order.state is not before:
            self._changed(order, before)
        return True

    def _filled(self, order: Order, fill: Fill, realized: Decimal, position: Decimal) -> OrderFilled:
        return OrderFilled(
            symbol=fill.symbol,
            at_ns=self._ctx.now_ns,
            client_order_id=order.client_order_id,
            trade_id=fill.trade_id,
            side=fill.side,
            price=fill.price,
            quantity=fill.quantity,
            maker=fill.maker,
            fee=fill.fee,
            fee_asset=fill.fee_asset,
            realized_pnl=realized,
            position=position,
            position_side=fill.position_side,
            trade_ms=fill.trade_ms,
        )

    def _changed(self, order: Order, before: OrderState) -> None:
        match order.state:
            case OrderState.WAITING | OrderState.TRIGGERED | OrderState.OPEN | OrderState.PARTIAL if before in _UNHEARD:
                self.tally.acked += 1
            case OrderState.FILLED:
                self.tally.acked += before in _UNHEARD
                self.tally.filled += 1
            case OrderState.EXPIRED:
                self.tally.acked += before in _UNHEARD
            case OrderState.REJECTED:
                self.tally.rejected += 1
            case OrderState.CANCELED:
                self.tally.cancelled += 1
        if before.terminal:
            self._ctx.log(Level.ERROR, f"order {order.client_order_id} was {before}, and is {order.state} after all")
        self.news.append((order.strategy, _change_of(order, self._ctx.now_ns)))

    # -- orders of others ---------------------------------------------------------------------------------------------

    def _external_report(self, report: OrderReport) -> None:
        origin = next((text for prefix, text in VENUE_PREFIXES.items() if report.client_order_id.startswith(prefix)), "")
        if _traded(report):
            fill = _fill_of(report)
            if fill.key in self._external_fills:
                return
            self._external_fills[fill.key] = None
            if len(self._external_fills) > _EXTERNAL_LIMIT:
                del self._external_fills[next(iter(self._external_fills))]
            position = self.external.position(fill.symbol, fill.position_side)
            position.fill(fill.side, fill.quantity, fill.price)
            self.external.fills += 1
            self._ctx.record(RowKind.FILL, report.client_order_id, fill_body(EXTERNAL, "", fill, position.quantity))
            if fill.fee is not None:
                self.external.pay(fill.fee, fill.fee_asset)
        what = origin or "an order that is not ours"
        self._ctx.log(
            Level.WARNING,
            f"{what}: {report.symbol} {report.side} {report.quantity} {report.execution}, filled {report.filled_quantity}",
        )


def _traded(report: OrderReport) -> bool:
    """Whether a report tells of a fill; liquidations and deleveraging may call theirs CALCULATED, and announce them without one."""
    return exact(report.last_quantity) > 0 and (report.execution is ExecutionType.TRADE or report.trade_id > 0)


def _fill_of(report: OrderReport) -> Fill:
    fee = report.commission
    return Fill(
        symbol=report.symbol,
        trade_id=report.trade_id,
        order_id=report.order_id,
        side=report.side,
        price=exact(report.last_price),
        quantity=exact(report.last_quantity),
        maker=report.maker,
        trade_ms=report.trade_ms,
        position_side=report.position_side,
        fee=exact(fee) if isinstance(fee, str) else ZERO,
        fee_asset=report.commission_asset if isinstance(report.commission_asset, str) else "",
    )


def _fill_of_row(row: UserTrade) -> Fill:
    return Fill(
        symbol=row.symbol,
        trade_id=row.id,
        order_id=row.order_id,
        side=row.side,
        price=exact(row.price),
        quantity=exact(row.qty),
        maker=row.maker,
        trade_ms=row.time,
        position_side=PositionSide.BOTH if isinstance(row.position_side, UnsetType) else row.position_side,
        fee=exact(row.commission),
        fee_asset=row.commission_asset,
    )


def _change_of(order: Order, now_ns: int) -> OrderChanged:
    return OrderChanged(
        symbol=order.symbol,
        at_ns=now_ns,
        client_order_id=order.client_order_id,
        side=order.side,
        type=order.type,
        time_in_force=order.time_in_force,
        price=order.price,
        quantity=order.quantity,
        filled=order.filled,
        state=order.state,
        reason=order.reason,
        trigger_price=order.trigger_price,
        position_side=order.position_side,
    )


def describe(order: Order) -> str:
    """An order in a few words, for logs: `BUY 0.002 BTCUSDT @ 42000.0 (cf.mm.…, OPEN)`."""
    price = f" @ {plain(order.price)}" if order.price is not None else ""
    price += f" {order.type} at {plain(order.trigger_price)}" if order.trigger_price is not None else ""
    overlay = f", {order.overlay}" if order.overlay is not Overlay.NONE else ""
    return f"{order.side} {plain(order.quantity)} {order.symbol}{price} ({order.client_order_id}, {order.state}{overlay})"
