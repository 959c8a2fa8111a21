"""What an earlier run on the same journal has left, taken into this one: orders, fills, suspensions, and what goes on from there.

What was in flight when that run ended is unknown now, and will be asked for. An open order stays if it is to be kept for its
strategy, or if it protects a position; else it is cancelled as soon as that is possible. A strategy that is not part of the bot any
more follows no orders: of its own only those stay that protect a position (docs/decisions/067).
"""

from __future__ import annotations

from collections.abc import Collection

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.execution_reports import describe
from coldframe.core.reconciliation.order_side import OrderSide
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.journal_codec import RestoredState
from coldframe.core.state.orders import Order
from coldframe.core.state.protection import reduces_position
from coldframe.core.strategies.dispatch import Strategies
from coldframe.model.effects import Level


def inherit(
    state: EngineState,
    past: RestoredState,
    ctx: StepContext,
    strategies: Strategies,
    trading: OrderSide | None,
    *,
    keep: bool,
) -> None:
    """Takes everything over. `keep`: whether open orders stay for their strategies."""
    orders = state.orders
    orders.known_up_to(past.trade_cursors)
    for order in past.orders.values():
        if order.live and not order.sent_ms:
            order.submitted(ctx.venue_ms)  # it was sent before now, if it was
        orders.restore(order, past.fills.get(order.client_order_id, ()), ctx.now_ns)
        if trading is not None:
            trading.executor.reported(order)
            if order.live and not (keep and order.strategy in state.accounts):
                _part_with(order, past, ctx, strategies, trading, state.accounts)
    if trading is not None:
        trading.assets.restore(past.prices)
        off_since_ms = ctx.clock.venue_ms(past.until_ns) if past.held() else 0
        trading.account.restore(past.payments, off_since_ms)
        if trading.reconciler.at_start is not None:
            trading.reconciler.at_start.began_at(past.trade_cursors, past.since_ms)
            trading.reconciler.scan.began_at(past.since_ms)
    if past.gap:
        ctx.log(Level.ERROR, "the journal lacks rows that were dropped when the disk failed: the account's positions count")
    state.restore_suspensions(past.suspensions, ctx.now_ms)
    for line in past.suspensions.lines():
        ctx.log(Level.ERROR, f"no new risk since an earlier run: {line}; `coldframe resume` ends it")


def _part_with(
    order: Order, past: RestoredState, ctx: StepContext, strategies: Strategies, trading: OrderSide, present: Collection[str]
) -> None:
    """An open order goes, unless it protects a position: then its strategy, if there still is one, has to see to that first."""
    account = past.accounts.get(order.strategy)
    if account is not None and reduces_position(order, account):
        strategies.guard(order)
        until = "it decides" if order.strategy in present else "the account has no such position: that strategy is gone"
        ctx.log(Level.INFO, f"{describe(order)} protects a position of {order.strategy}: kept until {until}")
        return
    if order.strategy not in present:
        ctx.log(Level.WARNING, f"{describe(order)} is cancelled: strategy {order.strategy} is not part of this bot any more")
    trading.executor.leave(order)
