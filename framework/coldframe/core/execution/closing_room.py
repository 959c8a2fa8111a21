"""What other orders leave of a position for one that may only close it, as far as the venue has said so.

The venue cuts an order that may only reduce to what the position and the other closing orders leave, and refuses one for which
they leave nothing (-4118), or an amendment that would be cut to what already stands (-5027). Sent again it is refused again, until
the position or one of those orders has changed: so what a strategy wants to be true waits for that. A refusal that no order
known here explains is not believed for longer than the pause between two tries. Source: protocol.md 7.3 and 9.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from coldframe.core.risk.reducing import account_position
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.orders import Order
from coldframe.core.state.positions import named
from coldframe.enums import PositionSide, Side
from coldframe.model.intents import Place, Verdict, VerdictCode
from coldframe.units import plain

#: An amendment would leave the order as it is.
SAME_ORDER: Final = -5027
#: Other closing orders take all that there is to close.
NO_ROOM: Final = -4118

#: What a closing order trades against: symbol, position side, its own side.
_Where = tuple[str, PositionSide, Side]


@attrs.frozen
class _Circumstances:
    """The account's position, and what of which other orders stands against it: by client order id ours, by the venue's theirs."""

    position: Decimal
    ours: frozenset[tuple[str, Decimal]]
    theirs: frozenset[tuple[int, Decimal]]

    def __bool__(self) -> bool:
        """Whether other orders are known."""
        return bool(self.ours or self.theirs)

    def __str__(self) -> str:
        ours = [f"{plain(left)} of {name}" for name, left in sorted(self.ours)]
        theirs = [f"{plain(left)} of order {order_id}, which belongs to no strategy" for order_id, left in sorted(self.theirs)]
        return ", ".join([*ours, *theirs])


class ClosingRoom:
    """Remembers what the venue has refused for lack of room."""

    def __init__(self, state: EngineState) -> None:
        self._state = state
        self._orders = state.orders
        #: Where nothing is left, and under which circumstances.
        self._taken: dict[_Where, _Circumstances] = {}
        #: Orders that cannot grow, by client order id.
        self._cut: dict[str, _Circumstances] = {}

    def refused(self, order: Order, code: int) -> None:
        """The venue has refused an order, or its amendment."""
        if not order.closing:
            return
        now = self._now(_where(order), beside=order.client_order_id)
        if code == NO_ROOM and now:
            self._taken[_where(order)] = now
        elif code == SAME_ORDER and now and order.live:
            self._cut[order.client_order_id] = now

    def against_place(self, place: Place) -> Verdict | None:
        """Why an order, as it would go out, would be refused once more; None if that is not known."""
        where = (place.symbol, place.position_side, place.side)
        if not place.closing or where not in self._taken:
            return None
        now = self._now(where)
        if now != self._taken[where]:
            del self._taken[where]
            return None
        return _verdict(where, now)

    def against_growth(self, order: Order, price: Decimal, quantity: Decimal) -> Verdict | None:
        """Why an amendment to that quantity would be refused once more; None if that is not known."""
        if order.client_order_id not in self._cut or price != order.price or quantity <= order.quantity:
            return None
        now = self._now(_where(order), beside=order.client_order_id)
        if now != self._cut[order.client_order_id]:
            del self._cut[order.client_order_id]
            return None
        return _verdict(_where(order), now)

    def _now(self, where: _Where, beside: str = "") -> _Circumstances:
        self._cut = {name: cut for name, cut in self._cut.items() if (order := self._orders.get(name)) is not None and order.live}
        symbol, position_side, side = where
        ours = (order for order in self._orders.live.within(symbol) if order.closing and _where(order) == where)
        theirs = (order for order in self._state.external.orders.values() if (order.symbol, order.side) == (symbol, side))
        return _Circumstances(
            account_position(self._state, (symbol, position_side)),
            frozenset((order.client_order_id, order.remaining) for order in ours if order.client_order_id != beside),
            frozenset((order.order_id, order.remaining) for order in theirs),
        )


def _where(order: Order) -> _Where:
    return order.symbol, order.position_side, order.side


def _verdict(where: _Where, now: _Circumstances) -> Verdict:
    symbol, position_side, _ = where
    text = f"other orders close what there is of {plain(now.position)} {named((symbol, position_side))}: {now}"
    return Verdict(VerdictCode.NO_ROOM, f"{text}; it waits until one of them or the position changes")
