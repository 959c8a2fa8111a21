"""Orders of an earlier run, as the venue describes them: recognised by their id, and made orders of this one.

What had traded of them before is in the positions already, so only later trades are booked.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import UnsetType

from coldframe.core.state.orders import Order, Origin
from coldframe.enums import PositionSide, TimeInForce
from coldframe.model.orders import OrderState
from coldframe.units import ZERO, exact
from coldframe.wire.account import OrderReport
from coldframe.wire.replies import AlgoReply, OrderReply


def taken_order(seen: OrderReport | OrderReply, strategy: str, filled: Decimal) -> Order:
    """An order of an earlier run as the venue describes it, of which `filled` has been booked before."""
    report = isinstance(seen, OrderReport)
    quantity = exact(seen.quantity if isinstance(seen, OrderReport) else seen.orig_qty)
    at_ms = seen.trade_ms if isinstance(seen, OrderReport) else _given(seen.update_time, 0)
    return Order(
        client_order_id=seen.client_order_id,
        strategy=strategy,
        symbol=seen.symbol,
        side=seen.side,
        type=seen.type,
        time_in_force=_given(seen.time_in_force, TimeInForce.GTC),
        quantity=quantity,
        price=exact(seen.price) or None,
        # So that a strategy that says which quotes shall stand gets rid of those of its earlier life.
        origin=Origin.QUOTE,
        reduce_only=_given(seen.reduce_only, False),
        position_side=_given(seen.position_side, PositionSide.BOTH),
        state=OrderState.PARTIALLY_FILLED if filled else OrderState.ACCEPTED,
        order_id=seen.order_id,
        filled=filled,
        seen_filled=filled,
        sent_ms=at_ms,
        taken_ms=at_ms - 1 if report else at_ms,
    )


def taken_algo(seen: AlgoReply, strategy: str) -> Order:
    """A conditional order as the venue describes it before its trigger."""
    at_ms = _given(seen.update_time, 0)
    activate = _number(seen.activate_price)
    return Order(
        client_order_id=seen.client_algo_id,
        strategy=strategy,
        symbol=seen.symbol,
        side=seen.side,
        type=seen.order_type,
        time_in_force=_given(seen.time_in_force, TimeInForce.GTC),
        quantity=_number(seen.quantity) or ZERO,
        price=_number(seen.price),
        reduce_only=_given(seen.reduce_only, False),
        position_side=_given(seen.position_side, PositionSide.BOTH),
        trigger_price=_number(seen.trigger_price),
        activate_price=activate,
        close_position=_given(seen.close_position, False),
        algo_id=seen.algo_id,
        algo_rank=1,
        state=OrderState.UNTRIGGERED,
        sent_ms=at_ms,
        taken_ms=at_ms,
    )


def _number(value: str | UnsetType) -> Decimal | None:
    """A number that is zero, or left out, where there is none."""
    return None if isinstance(value, UnsetType) else exact(value) or None


def _given(value: Any, otherwise: Any) -> Any:
    """A field that the venue may leave out."""
    return otherwise if isinstance(value, UnsetType) else value
