"""What the venue says about orders, turned into state changes, fills and news for the strategies.

Answers, reports and queries all end here, so that every one of them is merged by the same rules whatever order they come in. An
order that this bot has not sent (placed by hand, by the venue's liquidation engine) is external: its fills are named and shared out
by `coldframe.core.state.holdings`, so that no strategy believes in a position that the account does not have.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, assert_never

from msgspec import UnsetType

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.earlier_orders import taken_algo, taken_order
from coldframe.core.execution.readings import change_of, fill_of, fill_of_lite, fill_of_row, filled_of, traded
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.journal_codec import fill_body
from coldframe.core.state.orders import Fill, Order
from coldframe.enums import ExecutionType, OrderStatus, TimeInForce
from coldframe.ids import parse_own
from coldframe.model.effects import Level
from coldframe.model.engine_events import AttemptEnded, OrderCameBack, StrategyTold
from coldframe.model.events import OrderFilled, PositionCause
from coldframe.model.journal import RowKind
from coldframe.model.orders import Attempt, OrderEvent, OrderState, Overlay
from coldframe.units import ZERO, exact, plain
from coldframe.wire.account import EXPIRY_REASONS, OrderReport, TradeLite
from coldframe.wire.replies import AlgoReply, OrderReply, UserTrade

#: States in which the venue has not confirmed an order yet.
_UNHEARD: Final = frozenset({OrderState.PENDING_SUBMIT, OrderState.SUBMITTED, OrderState.UNKNOWN})
#: Why an order has gone that an amendment of ours was for.
AMENDED_DOWN: Final = "amended down to what had traded"
AMENDED_ACROSS: Final = "amended to a price at which it would have taken"
AMENDED_AWAY: Final = "cancelled while an amendment of it was open"
#: A cancel or an amendment that ends so has changed nothing: the next try waits.
_CAME_TO_NOTHING: Final = frozenset(
    {Attempt.CANCEL_REFUSED, Attempt.CANCEL_NOT_WRITTEN, Attempt.AMEND_REFUSED, Attempt.AMEND_NOT_WRITTEN}
)
#: States that say that an order never stood at the venue: what contradicts them is an incident (faults.md I2).
_NEVER_WAS: Final = frozenset({OrderState.DENIED, OrderState.REJECTED, OrderState.NEVER_ACCEPTED})

#: Why an order was cancelled at the venue, when the report does not say; empty when that is not known.
Explain = Callable[[Order, OrderReport], str]


class ExecutionReports:
    """Merges everything that is said about orders, and tells the strategies whose orders have changed.

    A cancel or an amendment that has come to an end is nothing to tell them, but desired states have to be compared again.
    """

    def __init__(self, state: EngineState, ctx: StepContext, explain: Explain = lambda order, report: "") -> None:
        self._state = state
        self._ctx = ctx
        self._orders = state.orders
        #: Orders that the venue lists although they are filled by its own reports, by client order id.
        self.contradicted: dict[str, None] = {}
        self._explain = explain

    # -- what answers say ---------------------------------------------------------------------------------------------

    def apply(self, order: Order, event: OrderEvent, reason: str = "", at_ms: int = 0) -> None:
        """Lets something happen to an order that carries no more data than that; `at_ms` is the venue time of the venue's word."""
        before = order.state
        if self._orders.apply(order, event, self._ctx.now_ns, reason, at_ms):
            self._changed(order, before)

    def attempt(self, order: Order, attempt: Attempt, *, waits: bool | None = None) -> None:
        """Lets something happen to an order's cancel or amendment. After one that came to nothing the next try waits.

        `waits` says so where `attempt` alone does not.
        """
        if self._orders.attempt(order, attempt) and order.overlay is Overlay.NONE:
            refused = attempt in _CAME_TO_NOTHING
            amended = attempt is Attempt.AMEND_DONE
            self._ctx.publish(AttemptEnded(order.strategy, order.symbol, refused if waits is None else waits, amended))

    def reply(self, order: Order, reply: OrderReply, asked_ms: int = 0) -> None:
        """An answer or a query that names the order: its id, its terms, its status, how much of it has traded.

        What it says was true at its update time; with `asked_ms`, which only a question may name that was asked to confirm a list,
        it was true at that venue time too.
        """
        at_ms = 0 if isinstance(reply.update_time, UnsetType) else reply.update_time
        known_ms = max(at_ms, asked_ms)
        self._identify(order, reply.order_id, known_ms)
        why = self._why_cancelled(order, reply.status, exact(reply.executed_qty), exact(reply.orig_qty))
        self._orders.terms_reported(order, exact(reply.orig_qty), exact(reply.price), at_ms)
        self._see(order, reply.status, exact(reply.executed_qty), why, known_ms)

    def _why_cancelled(self, order: Order, status: OrderStatus, filled: Decimal, quantity: Decimal) -> str:
        """Why an order has been cancelled without a cancel of ours; empty otherwise.

        An amendment cancels as well: down to what has traded, or of a post-only order to where it would take (protocol.md 7.3).
        """
        if status is not OrderStatus.CANCELED or order.cancel_asked or not order.live:
            return ""
        if order.overlay in (Overlay.AMEND_SENT, Overlay.AMEND_UNKNOWN) and order.amending_quantity is not None:
            if filled >= order.amending_quantity:
                return AMENDED_DOWN
            return AMENDED_ACROSS if order.time_in_force is TimeInForce.GTX else AMENDED_AWAY
        if filled >= quantity:
            return ""
        self._ctx.log(Level.WARNING, f"cancelled from outside: {describe(order)}")
        return "cancelled from outside"

    def _note_amended_outside(self, order: Order, report: OrderReport) -> None:
        price, quantity = exact(report.price), exact(report.quantity)
        late = order.late is not None and (order.late.price, order.late.quantity) == (price, quantity)
        known = late or order.amending(price, quantity) or (order.price, order.quantity) == (price, quantity)
        if report.execution is ExecutionType.AMENDMENT and not known and report.trade_ms >= order.terms_ms:
            become = f"{plain(quantity)} @ {plain(price)}"
            self._ctx.log(Level.WARNING, f"amended from outside: {describe(order)} is now {become}")

    def triggered(self, order: Order, at_ms: int = 0) -> None:
        """A conditional order has become an ordinary one, or will in a moment: told once, before anything that it does then."""
        if order.untriggered:
            self._orders.triggered(order, self._ctx.venue_ms)
            self.apply(order, OrderEvent.SEEN_TRIGGERED, at_ms=at_ms)

    def _identify(self, order: Order, order_id: int, at_ms: int = 0) -> None:
        """Evidence names the ordinary order: its trigger has been reached."""
        self.triggered(order, at_ms)
        self._orders.identify(order, order_id)

    def _see(self, order: Order, status: OrderStatus, seen_filled: Decimal, reason: str, at_ms: int) -> None:
        before = order.state
        at_ms = at_ms or (self._ctx.venue_ms if order.live else 0)
        if self._orders.see(order, status, seen_filled, self._ctx.now_ns, reason, at_ms):
            self._changed(order, before)

    def missing(self, order: Order) -> None:
        """The venue has acknowledged an order and can neither list nor find it: it counts as alive, and a person has to look."""
        if order.missing:
            return
        order.reported_missing()
        self.apply(order, OrderEvent.MISSING, "acknowledged, and not to be found at the venue")
        text = f"{describe(order)} was acknowledged, and the venue neither lists nor finds it"
        self._ctx.log(Level.ERROR, f"manual check needed: {text}; it counts as alive")
        self._halt(order.symbol, text)

    def contradicts(self, order: Order) -> None:
        """The venue lists an order as open, and confirms it, of which it has reported that all has traded."""
        if order.client_order_id not in self.contradicted:
            self.contradicted[order.client_order_id] = None
            self._orders.contradicted()
            text = f"the venue lists {describe(order)} as open"
            self._ctx.log(Level.ERROR, f"manual check needed: {text}")
            self._halt(order.symbol, text)

    def _halt(self, symbol: str, why: str) -> None:
        if self._state.trading.halt_symbol(symbol, why, self._ctx.now_ms):
            self._ctx.log(Level.ERROR, f"{symbol} is halted: no new risk there until it is resumed")

    # -- what reports say ---------------------------------------------------------------------------------------------

    def step(self, said: OrderReport | TradeLite) -> Order | None:
        """Takes in a report of the user stream. Returns the order it speaks of; None when it is not ours."""
        match said:
            case OrderReport():
                return self._report(said)
            case TradeLite():
                return self._lite(said)
            case unknown:
                assert_never(unknown)

    def _report(self, report: OrderReport) -> Order | None:
        """ORDER_TRADE_UPDATE."""
        order = self._orders.find(report.symbol, report.client_order_id, report.order_id)
        order = order or self._unknown_order(report)
        if order is None:
            return None
        self._identify(order, report.order_id, report.trade_ms)
        self._note_amended_outside(order, report)
        self._orders.terms_reported(order, exact(report.quantity), exact(report.price), report.trade_ms)
        if report.execution is ExecutionType.AMENDMENT and order.amending(exact(report.price), exact(report.quantity)):
            self.attempt(order, Attempt.AMEND_DONE)
        if traded(report):
            self._take_in(order, fill_of(report))
        reason = EXPIRY_REASONS.get(report.expiry_reason, "") if isinstance(report.expiry_reason, str) else ""
        reason = reason if reason not in ("", "none") else self._explain(order, report)
        filled = exact(report.filled_quantity)
        reason = reason or self._why_cancelled(order, report.status, filled, exact(report.quantity))
        self._see(order, report.status, filled, reason, report.trade_ms)
        return order

    def _lite(self, trade: TradeLite) -> Order | None:
        """TRADE_LITE: the fill, early and without its fee."""
        order = self._orders.find(trade.symbol, trade.client_order_id, trade.order_id)
        if order is None:
            return None  # the full report follows and books it as external
        self._identify(order, trade.order_id, trade.transaction_ms)
        self._orders.terms_reported(order, exact(trade.quantity), exact(trade.price), trade.transaction_ms)
        self._take_in(order, fill_of_lite(trade, order.position_side))
        return order

    def trades(self, rows: list[UserTrade]) -> int:
        """Fills from a query. Returns how many of them were new: fills that the stream had not brought."""
        fresh = 0
        for row in rows:
            order = self._orders.find(row.symbol, "", row.order_id)
            fill = fill_of_row(row)
            if order is not None:
                fresh += self._take_in(order, fill)
            elif not self._state.baseline_ms:
                self._state.external.traded_before(fill)
            elif row.time >= self._state.baseline_ms:
                self._state.external.keep_unmatched(fill)
        return fresh

    def _take_in(self, order: Order, fill: Fill) -> bool:
        """Books a fill, unless the order was taken over and the fill is in the positions already. Returns whether it was new."""
        if not self._before_us(order, fill):
            return self.fill(order, fill)
        self._orders.pass_over(order, fill)
        return False

    def fill(self, order: Order, fill: Fill) -> bool:
        """Books a fill to its order and its strategy's position. Returns whether it was new."""
        account = self._state.accounts.get(order.strategy)
        if account is None:  # its strategy is not part of the bot any more: what is not booked yet is external
            return not self._orders.knows(fill) and self._state.holdings.book_external(fill, PositionCause.OTHER_CLIENT)
        before = order.state
        if self._orders.book(order, fill, self._ctx.now_ns) is None:
            fee = self._orders.learn_fee(fill)
            if fee is not None:
                account.holdings.pay(fee, fill.fee_asset, fill.notional)
                body = fill_body(order.strategy, order.client_order_id, fill, account.holdings.net(fill.symbol), order.tag)
                self._ctx.record(RowKind.FEE, order.client_order_id, body)
            return False
        if self._state.holdings.take_back(fill):
            text = f"trade {fill.trade_id} of {fill.symbol} was booked to external, and is {order.strategy}'s"
            self._ctx.log(Level.WARNING, text)
        realized = account.holdings.filled(fill.symbol, fill.position_side, fill.side, fill.quantity, fill.price)
        position = account.holdings.position(fill.symbol, fill.position_side)
        body = fill_body(order.strategy, order.client_order_id, fill, position.quantity, order.tag)
        self._ctx.record(RowKind.FILL, order.client_order_id, body)
        role = "maker" if fill.maker else "taker"
        self._ctx.log(
            Level.INFO,
            f"fill: {order.strategy} {fill.side} {plain(fill.quantity)} {fill.symbol} @ {plain(fill.price)} as {role},"
            f" position {plain(position.quantity)}",
        )
        if fill.fee is not None:
            account.holdings.pay(fill.fee, fill.fee_asset, fill.notional)
        self._ctx.publish(StrategyTold(order.strategy, self._filled(order, fill, realized, position.quantity)))
        self._state.holdings.own(order.strategy, fill)
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
            tag=order.tag,
        )

    def _changed(self, order: Order, before: OrderState) -> None:
        self._state.tally.changed(before, order.state)
        if before.terminal or (order.missing and order.state is not OrderState.NEEDS_OPERATOR):
            text = f"order {order.client_order_id} was {before}, and is {order.state} after all"
            self._ctx.log(Level.ERROR, f"{text}; it is cancelled" if order.live else text)
            if order.live or before in _NEVER_WAS:
                self._halt(order.symbol, text)
            if order.live:
                self._ctx.publish(OrderCameBack(order.client_order_id))
            order.reappeared()
        self._ctx.publish(StrategyTold(order.strategy, change_of(order, self._ctx.now_ns)))

    # -- orders of others ---------------------------------------------------------------------------------------------

    def _unknown_order(self, report: OrderReport) -> Order | None:
        """A report about an order that this run does not know: of an earlier one, of this one but long forgotten, or external."""
        fill = fill_of(report) if traded(report) else None
        is_new = fill is not None and not self._old(fill)
        if self.of_this_run(report.client_order_id):
            # Of what has ended long ago only a new trade is believed at once; the next list tells whether it is open.
            return self.rise(report, before=fill.quantity) if fill is not None and is_new else None
        order = self.adopt(report, before=fill.quantity if fill is not None and is_new else ZERO)
        if order is None:
            cause = self._state.external.report(report)
            if fill is not None and not self._state.baseline_ms and fill.trade_ms <= self._orders.epoch_ms:
                self._state.external.traded_before(fill)  # the start says whose position it has changed
            # What was traded before the start is in the positions that stood then, however late its report comes.
            elif fill is None or (fill.trade_ms >= self._state.baseline_ms and self._state.holdings.book_external(fill, cause)):
                text = f"{report.symbol} {report.side} {report.quantity} {report.execution}, filled {report.filled_quantity}"
                self._state.external.log_activity(cause, report.symbol, text)
        return order

    def _old(self, fill: Fill) -> bool:
        """Whether a completed scan has brought everything up to this trade: then it is never news (see `core.tradescan`)."""
        return fill.trade_id <= self._orders.trade_cursors.get(fill.symbol, 0)

    def _before_us(self, order: Order, fill: Fill) -> bool:
        """Whether a fill of an order that was taken over is in the positions already."""
        return bool(order.taken_ms) and (fill.trade_ms <= order.taken_ms or self._old(fill))

    def of_this_run(self, client_order_id: str) -> bool:
        """Whether an id was made by this very run, for one of its strategies."""
        own = parse_own(client_order_id)
        return own is not None and own.epoch_ms == self._orders.epoch_ms and own.strategy in self._state.accounts

    def rise(self, seen: OrderReport | OrderReply, *, before: Decimal = ZERO) -> Order | None:
        """An order of this run that had ended so long ago that it is forgotten lives after all, or has traded."""
        own = parse_own(seen.client_order_id)
        return self._risen(taken_order(seen, own.strategy, filled_of(seen) - before)) if own is not None else None

    def rise_algo(self, seen: AlgoReply) -> Order | None:
        """The same for a conditional order."""
        own = parse_own(seen.client_algo_id)
        return self._risen(taken_algo(seen, own.strategy)) if own is not None else None

    def _risen(self, order: Order) -> Order:
        self._orders.adopt(order, self._ctx.now_ns)
        self._orders.contradicted()
        text = f"{describe(order)} had ended long ago, and is open after all"
        self._ctx.log(Level.ERROR, f"{text}; it is cancelled")
        self._halt(order.symbol, text)
        self._ctx.publish(OrderCameBack(order.client_order_id))
        self._ctx.publish(StrategyTold(order.strategy, change_of(order, self._ctx.now_ns)))
        return order

    def adopt_algo(self, seen: AlgoReply) -> Order | None:
        """A conditional order of an earlier run becomes one of this run; None when it is not one of ours."""
        own = parse_own(seen.client_algo_id)
        if own is None or own.epoch_ms >= self._orders.epoch_ms or own.strategy not in self._state.accounts:
            return None
        order = self._orders.adopt(taken_algo(seen, own.strategy), self._ctx.now_ns)
        self._ctx.log(Level.WARNING, f"an order of an earlier run: {describe(order)} is taken over by strategy {own.strategy}")
        self._ctx.publish(StrategyTold(own.strategy, change_of(order, self._ctx.now_ns)))
        return order

    def adopt(self, seen: OrderReport | OrderReply, *, before: Decimal = ZERO, strategy: str | None = None) -> Order | None:
        """Makes an order that this run has not made one of a strategy's: its id says whose, or the caller does.

        `before` is what has just traded and is still to be booked; what had traded earlier is in the positions already. None when
        the id is unknown here, and for one of this very run: that order has ended long ago.
        """
        own = parse_own(seen.client_order_id)
        if own is not None and own.epoch_ms > self._orders.epoch_ms and own.strategy in self._state.accounts:
            self._beware(seen.symbol, seen.client_order_id)
            return None
        if own is not None and own.epoch_ms != self._orders.epoch_ms and own.strategy in self._state.accounts:
            strategy = own.strategy
        if strategy is None:
            return None
        order = self._orders.adopt(taken_order(seen, strategy, filled_of(seen) - before), self._ctx.now_ns)
        self._ctx.log(Level.WARNING, f"an order of an earlier run: {describe(order)} is taken over by strategy {strategy}")
        self._ctx.publish(StrategyTold(strategy, change_of(order, self._ctx.now_ns)))
        return order

    def _beware(self, symbol: str, client_order_id: str) -> None:
        """A run that began after this one has our names: it takes our orders for its own, so this one makes way."""
        trading, why = self._state.trading, f"another bot with the same strategies trades on this account ({client_order_id})"
        if trading.halt_symbol(symbol, why, self._ctx.now_ms):
            self._ctx.log(Level.ERROR, f"{trading.symbols[symbol].text}; stop one of the two")

    def _whose(self, fill: Fill) -> PositionCause | None:
        """Who has made a trade that no order here explains, where that is certain; None while it may still turn out ours.

        The venue is asked for its order first, so that it is known why a position changes. What it does not name is not ours where
        there is no order of ours that it could belong to.
        """
        order = (fill.symbol, fill.order_id)
        if order in self._state.external.marked_external:
            return self._state.external.marked_external[order]
        perhaps_ours = any(own.order_id is None for own in self._orders.live.within(fill.symbol))
        return PositionCause.OTHER_CLIENT if order in self._state.external.unnamed and not perhaps_ours else None

    def book_unmatched(self) -> int:
        """Books the trades that queries have brought and no order explains. Returns how many were external.

        While the venue's id of one of our orders in the symbol is not known, its trades may be that order's.
        """
        booked = 0
        for fill in sorted(self._state.external.before.values(), key=lambda held: held.key):
            order = self._orders.find(fill.symbol, "", fill.order_id)
            if order is not None:  # its id has become known after its trades: that of a conditional order that was triggered
                self._state.external.matched(fill)
                self._take_in(order, fill)
        for fill in sorted(self._state.external.unmatched.values(), key=lambda held: held.key):
            order = self._orders.find(fill.symbol, "", fill.order_id)
            cause = self._whose(fill)
            if order is not None:
                self._state.external.matched(fill)
                self.fill(order, fill)
            elif cause is not None and self._state.holdings.book_external(fill, cause):
                booked += 1
                text = f"{fill.symbol} {fill.side} {plain(fill.quantity)} @ {plain(fill.price)}"
                self._state.external.log_activity(cause, fill.symbol, text, what="a trade")
        return booked

    def unsettled(self, symbol: str) -> bool:
        """Whether trades of a symbol are known that no owner has been given yet, or orders that may have made some."""
        waiting = any(fill.symbol == symbol for fill in self._state.external.unmatched.values())
        in_flight = _UNHEARD | {OrderState.NEEDS_OPERATOR}
        orders = (order for order in self._orders.everywhere(symbol) if order.fills_missing or order.state in in_flight)
        return waiting or any(orders)


def describe(order: Order) -> str:
    """An order in a few words, for logs: `BUY 0.002 BTCUSDT @ 42000.0 (cf.mm.…, ACCEPTED)`."""
    price = f" @ {plain(order.price)}" if order.price is not None else ""
    price += f" {order.type} at {plain(order.trigger_price)}" if order.trigger_price is not None else ""
    overlay = f", {order.overlay}" if order.overlay is not Overlay.NONE else ""
    return f"{order.side} {plain(order.quantity)} {order.symbol}{price} ({order.client_order_id}, {order.state}{overlay})"
