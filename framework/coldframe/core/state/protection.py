"""Which orders protect a position, and what becomes of orders when a strategy or a run ends.

An order that can only reduce a position which stays open is worth keeping (`can_only_reduce`): it takes nothing but risk away. A
position is protected only by stops: a take-profit or a resting limit order limits no loss (docs/decisions/066). Pure rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

import attrs

from coldframe.core.state.order import PASSING
from coldframe.core.state.orders import Order, Origin
from coldframe.core.state.positions import StrategyPositions
from coldframe.enums import OrderType, PositionSide
from coldframe.model.orders import OrderState, Overlay
from coldframe.units import ZERO

#: States in which the venue has confirmed that an order stands, in its book or before its trigger.
_STANDING: Final = frozenset({OrderState.UNTRIGGERED, OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED})


class OrderPolicy(StrEnum):
    """What becomes of a strategy's open orders at its end; each policy is graver than the ones before it.

    `keep_protective`: orders that can only reduce an open position stay, all others are cancelled; `cancel`: all are cancelled;
    `flatten`: all are cancelled and positions are brought to zero.
    """

    KEEP_PROTECTIVE = "keep_protective"
    CANCEL = "cancel"
    FLATTEN = "flatten"


_GRAVITY: Final = tuple(OrderPolicy)


def graver(first: OrderPolicy | None, second: OrderPolicy) -> OrderPolicy:
    """The graver of two policies."""
    return second if first is None else max(first, second, key=_GRAVITY.index)


def can_only_reduce(order: Order, quantity: Decimal) -> bool:
    """Whether all that an order can do is reduce its position, which is `quantity` (signed) now.

    A quote does not count: it stands to keep a desired state true, and goes with it.
    """
    return order.origin is not Origin.QUOTE and order.closing and quantity * order.side.sign < 0


def reduces_position(order: Order, account: StrategyPositions) -> bool:
    """Whether an order can only reduce the position of its strategy's `account` that it is for."""
    return can_only_reduce(order, quantity_of(account, order.symbol, order.position_side))


def quantity_of(account: StrategyPositions, symbol: str, side: PositionSide) -> Decimal:
    """The signed quantity of a position; looking does not make one."""
    position = account.positions.get((symbol, side))
    return position.quantity if position is not None else ZERO


def stands(order: Order) -> bool:
    """Whether an order is confirmed at the venue and not doubted, and neither a cancel nor an amendment of it is open.

    An order that trades at once or ends does not stand, though it may be confirmed for a moment.
    """
    rests = order.untriggered or order.time_in_force not in PASSING
    return rests and order.state in _STANDING and order.overlay is Overlay.NONE and not order.doubted_ns


def stops_loss(order: Order) -> bool:
    """Whether an order limits a loss: a stop that waits for its trigger, and trades when that is reached.

    The trigger of a stop lies on the side on which its position loses: beyond the market on the other side it would have been
    triggered at once (-2021; protocol.md 7.5). A STOP whose limit price is better than its trigger would rest there while the
    market runs away, and a trailing stop that waits for its activation price has no trigger yet.
    """
    if not order.untriggered:
        return False
    match order.type:
        case OrderType.STOP_MARKET:
            return True
        case OrderType.TRAILING_STOP_MARKET:
            return order.activate_price is None or order.activated
        case OrderType.STOP:
            price, trigger = order.price, order.trigger_price
            return price is not None and trigger is not None and (price - trigger) * order.side.sign >= 0
        case _:  # take-profit orders do not limit a loss
            return False


@attrs.frozen(kw_only=True)
class OpenPosition:
    """A position that is open at an end. `stops` are the orders that protect it, and `covered` is how much of it they do.

    `others` are orders that stay because they can only reduce it, and limit no loss.
    """

    strategy: str
    symbol: str
    position_side: PositionSide
    quantity: Decimal
    stops: tuple[str, ...] = ()
    covered: Decimal = ZERO
    others: tuple[str, ...] = ()

    @property
    def unprotected(self) -> Decimal:
        """How much of it has no stop (unsigned)."""
        return max(abs(self.quantity) - self.covered, ZERO)

    @property
    def where(self) -> str:
        """Symbol, and in hedge mode the side, for people."""
        return self.symbol if self.position_side is PositionSide.BOTH else f"{self.symbol} {self.position_side}"


def open_positions(
    accounts: Mapping[str, StrategyPositions], orders: Iterable[Order], unsure: Collection[str] = ()
) -> Iterator[OpenPosition]:
    """Every open position of the strategies. An order that is `unsure` (by client order id) protects nothing."""
    standing = [order for order in orders if stands(order) and order.client_order_id not in unsure]
    for strategy, account in accounts.items():
        for (symbol, side), position in sorted(account.positions.items()):
            if position.quantity:
                reducing = [
                    order
                    for order in standing
                    if (order.strategy, order.symbol, order.position_side) == (strategy, symbol, side)
                    and can_only_reduce(order, position.quantity)
                ]
                mine = [order for order in reducing if stops_loss(order)]
                whole = any(stop.close_position for stop in mine)
                covered = abs(position.quantity) if whole else sum((stop.remaining for stop in mine), ZERO)
                yield OpenPosition(
                    strategy=strategy,
                    symbol=symbol,
                    position_side=side,
                    quantity=position.quantity,
                    stops=tuple(stop.client_order_id for stop in mine),
                    covered=covered,
                    others=tuple(order.client_order_id for order in reducing if order not in mine),
                )


def replaced(order: Order, others: Iterable[Order], quantity: Decimal) -> bool:
    """Whether other orders that stand do for a position of `quantity` what `order` does: reduce it as far, a stop by stops."""
    same = [
        other
        for other in others
        if stands(other)
        and (other.symbol, other.position_side) == (order.symbol, order.position_side)
        and can_only_reduce(other, quantity)
        and stops_loss(other) == stops_loss(order)
    ]
    needed = abs(quantity) if order.close_position else min(order.remaining, abs(quantity))
    return any(other.close_position for other in same) or (bool(same) and sum((other.remaining for other in same), ZERO) >= needed)
