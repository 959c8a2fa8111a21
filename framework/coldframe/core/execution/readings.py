"""Orders and fills as the venue tells them, read into our own words: pure functions."""

from __future__ import annotations

from decimal import Decimal

from msgspec import UnsetType

from coldframe.core.state.orders import Fill, Order
from coldframe.enums import ExecutionType, PositionSide
from coldframe.model.events import OrderChanged
from coldframe.units import ZERO, exact
from coldframe.wire.account import OrderReport, TradeLite
from coldframe.wire.replies import OrderReply, UserTrade


def filled_of(seen: OrderReport | OrderReply) -> Decimal:
    """The cumulative quantity that an answer, a row or a report names."""
    return exact(seen.filled_quantity if isinstance(seen, OrderReport) else seen.executed_qty)


def traded(report: OrderReport) -> bool:
    """Whether a report tells of a fill; liquidations and deleveraging may call theirs CALCULATED, and announce them without one."""
    return exact(report.last_quantity) > 0 and (report.execution is ExecutionType.TRADE or report.trade_id > 0)


def fill_of(report: OrderReport) -> Fill:
    """The fill that a report tells of."""
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


def fill_of_lite(trade: TradeLite, side: PositionSide) -> Fill:
    """The fill that a short report tells of, without its fee. Only its order knows the position side."""
    return Fill(
        symbol=trade.symbol,
        trade_id=trade.trade_id,
        order_id=trade.order_id,
        side=trade.side,
        price=exact(trade.last_price),
        quantity=exact(trade.last_quantity),
        maker=trade.maker,
        trade_ms=trade.transaction_ms,
        position_side=side,
    )


def fill_of_row(row: UserTrade) -> Fill:
    """The fill that a row of a query tells of."""
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


def change_of(order: Order, now_ns: int) -> OrderChanged:
    """An order as it stands now, as news for its strategy."""
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
        tag=order.tag,
    )
