"""Running sums over the orders that may still change a position, so that no check of an order has to walk over the others.

`Orders` says of which orders something has changed; they are counted anew before the next look, each by what it counted before.
The sums are exact, whatever comes and goes: what is taken out is what was put in, and nothing is rounded. Adding them up from
all orders gives the same at any moment (`tests/core/state/test_exposures.py`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Context, Decimal
from typing import Final

import attrs

from coldframe.core.state.order import PASSING, Order, Origin
from coldframe.enums import PositionSide, Side
from coldframe.model.orders import OrderState, Overlay
from coldframe.units import ZERO

#: Wide enough for the sum of a billion products of two numbers as the venue prints them (`coldframe.units.NUMBER`).
_EXACT: Final = Context(prec=100)

#: States of an order that cannot have traded: its request has not left, or it waits for its trigger.
_NOT_TRADING: Final = (OrderState.INITIALIZED, OrderState.PENDING_SUBMIT, OrderState.UNTRIGGERED)
#: Which orders add up: strategy, symbol, position side, side.
SideKey = tuple[str, str, PositionSide, Side]


def side_of(order: Order) -> SideKey:
    """What an order adds up with."""
    return order.strategy, order.symbol, order.position_side, order.side


@attrs.define(eq=True)
class SideExposure:
    """What orders may still do to a position, in base units: one order, or all of a strategy on one side of a position."""

    #: Of orders that may add to the position.
    adding: Decimal = ZERO
    #: Of orders that may only reduce it.
    closing: Decimal = ZERO
    #: The part of `closing` that names a quantity; the others close all there is, and `whole` counts them.
    sized: Decimal = ZERO
    whole: int = 0
    #: The part of `closing` that waits for a trigger.
    triggerable: Decimal = ZERO
    #: The part of `closing` that may have traded without our knowing.
    doubted: Decimal = ZERO
    #: Of orders that are not reduce-only, whatever the venue makes of them.
    unreduced: Decimal = ZERO
    #: The money of `adding` at the highest price that each order's terms name, but for orders of the market's price (quote asset).
    worth: Decimal = ZERO

    @classmethod
    def of(cls, order: Order) -> SideExposure:
        """What one order counts."""
        quantity = order.exposure
        unreduced = ZERO if order.reduce_only else quantity
        if not order.closing:
            worth = ZERO if order.price is None else _EXACT.multiply(quantity, order.worst_price or ZERO)
            return cls(adding=quantity, unreduced=unreduced, worth=worth)
        return cls(
            closing=quantity,
            sized=ZERO if order.close_position else quantity,
            whole=int(order.close_position),
            triggerable=quantity if order.untriggered else ZERO,
            doubted=quantity if in_doubt(order) else ZERO,
            unreduced=unreduced,
        )

    def changed(self, more: SideExposure, less: SideExposure) -> SideExposure:
        """This with the one, and without the other."""
        return SideExposure(
            _moved(self.adding, more.adding, less.adding),
            _moved(self.closing, more.closing, less.closing),
            _moved(self.sized, more.sized, less.sized),
            self.whole + more.whole - less.whole,
            _moved(self.triggerable, more.triggerable, less.triggerable),
            _moved(self.doubted, more.doubted, less.doubted),
            _moved(self.unreduced, more.unreduced, less.unreduced),
            _moved(self.worth, more.worth, less.worth),
        )


NOTHING: Final = SideExposure()


def _moved(value: Decimal, more: Decimal, less: Decimal) -> Decimal:
    if more is less or more == less:
        return value
    return _EXACT.subtract(_EXACT.add(value, more), less) or ZERO


def in_doubt(order: Order) -> bool:
    """Whether an order may have traded without our knowing, before what is known of others.

    Its request is not answered, it never rests, its trigger has come, a list has left it out, or what became of its cancel or
    amendment is not known.
    """
    stays = order.price is not None and order.time_in_force not in PASSING
    known = order.state in _NOT_TRADING or (order.state.resting and stays)
    return not known or bool(order.doubted_ns) or order.overlay in (Overlay.CANCEL_UNKNOWN, Overlay.AMEND_UNKNOWN)


@attrs.frozen
class _Counted:
    """What one order has been counted as."""

    key: SideKey
    exposure: SideExposure = NOTHING
    #: The price beyond which another order would trade with it; None for one that does not rest.
    meets: Decimal | None = None
    #: For an order of the market's price that adds to a position: its symbol, and the price that it is worth at least.
    unpriced: tuple[str, Decimal] | None = None
    untriggered: bool = False
    #: Whether it stands to keep `Quotes` true.
    quoting: bool = False


class Exposures:
    """The sums, by strategy, symbol, position side and side; and what goes with them: prices that rest, conditional orders."""

    def __init__(self) -> None:
        self._counted: dict[str, _Counted] = {}
        self._changed: dict[str, Order] = {}
        self._by_side: dict[SideKey, SideExposure] = {}
        #: The part of it that live quotes are.
        self._quoting: dict[SideKey, SideExposure] = {}
        #: By strategy, the money of all its orders that name a price.
        self._worth: dict[str, Decimal] = {}
        #: By strategy, what its orders of the market's price may add, by symbol and the price that it is worth at least.
        self._unpriced: dict[str, dict[tuple[str, Decimal], Decimal]] = {}
        #: By symbol and side, the prices at which orders of each strategy may be met, lowest first.
        self._resting: dict[tuple[str, Side], dict[str, list[Decimal]]] = {}
        self._untriggered = 0
        #: By side, the quantities of its orders that may only reduce and name one, smallest first.
        self._closers: dict[SideKey, list[Decimal]] = {}

    # -- what happens -------------------------------------------------------------------------------------------------

    def changed(self, order: Order) -> None:
        """Something about an order has changed: it is counted anew before the next look."""
        self._changed[order.client_order_id] = order

    def _add_changed(self) -> None:
        changed, self._changed = self._changed, {}
        for name, order in changed.items():
            before = self._counted.get(name)
            after = _count(order)
            if after is None:
                self._counted.pop(name, None)
            else:
                self._counted[name] = after
            if after != before:
                self._move(before or _Counted(side_of(order)), after or _Counted(side_of(order)))

    def _move(self, before: _Counted, after: _Counted) -> None:
        key, more, less = after.key, after.exposure, before.exposure
        self._by_side[key] = self._by_side.get(key, NOTHING).changed(more, less)
        if before.quoting or after.quoting:
            quoted = self._quoting.get(key, NOTHING)
            self._quoting[key] = quoted.changed(more if after.quoting else NOTHING, less if before.quoting else NOTHING)
        self._worth[key[0]] = _moved(self._worth.get(key[0], ZERO), more.worth, less.worth)
        self._untriggered += after.untriggered - before.untriggered
        for where, quantity in ((after.unpriced, more.adding), (before.unpriced, -less.adding)):
            if where is not None:
                self._add_unpriced(key[0], where, quantity)
        if more.sized != less.sized:
            self._note_closer(key, less.sized, more.sized)
        if before.meets != after.meets:
            self._rest(key, before.meets, after.meets)

    def _note_closer(self, key: SideKey, before: Decimal, after: Decimal) -> None:
        quantities = self._closers.setdefault(key, [])
        if before:
            del quantities[bisect_left(quantities, before)]
        if after:
            insort(quantities, after)

    def _add_unpriced(self, strategy: str, where: tuple[str, Decimal], quantity: Decimal) -> None:
        table = self._unpriced.setdefault(strategy, {})
        table[where] = _EXACT.add(table.get(where, ZERO), quantity)
        if not table[where]:
            del table[where]

    def _rest(self, key: SideKey, before: Decimal | None, after: Decimal | None) -> None:
        strategy, symbol, _, side = key
        by_strategy = self._resting.setdefault((symbol, side), {})
        prices = by_strategy.setdefault(strategy, [])
        if before is not None:
            del prices[bisect_left(prices, before)]
        if after is not None:
            insort(prices, after)
        if not prices:
            del by_strategy[strategy]

    # -- looking ------------------------------------------------------------------------------------------------------

    def at(self, key: SideKey) -> SideExposure:
        """What the orders of a strategy on one side of a position may do to it."""
        if self._changed:
            self._add_changed()
        return self._by_side.get(key, NOTHING)

    def largest_closer(self, key: SideKey) -> Decimal:
        """The quantity of the largest order on a side that may only reduce and names one; ZERO while there is none."""
        if self._changed:
            self._add_changed()
        quantities = self._closers.get(key)
        return quantities[-1] if quantities else ZERO

    @property
    def untriggered(self) -> int:
        """How many live conditional orders wait for their trigger."""
        if self._changed:
            self._add_changed()
        return self._untriggered

    def worth(self, strategy: str, mark_prices: Mapping[str, Decimal]) -> Decimal:
        """The money that the orders of a strategy may add to positions, at the highest price of each (quote asset)."""
        if self._changed:
            self._add_changed()
        return _EXACT.add(self._worth.get(strategy, ZERO), valued(self._unpriced.get(strategy, {}), mark_prices))

    def met(self, strategy: str, symbol: str, side: Side, price: Decimal | None) -> bool:
        """Whether an order of a strategy at that price, None for the market's, might meet one of another's on this side."""
        if self._changed:
            self._add_changed()
        for owner, prices in self._resting.get((symbol, side), {}).items():
            if owner == strategy:
                continue
            if price is None or (price >= prices[0] if side is Side.SELL else price <= prices[-1]):
                return True
        return False

    def quoted(self, strategy: str, symbol: str) -> dict[SideKey, SideExposure]:
        """What of the sums the live quotes of a strategy in a symbol are."""
        if self._changed:
            self._add_changed()
        keys = [(strategy, symbol, position_side, side) for position_side in PositionSide for side in (Side.BUY, Side.SELL)]
        return {key: self._quoting[key] for key in keys if key in self._quoting}

    def counted(self, orders: Iterable[Order]) -> Iterator[tuple[SideKey, SideExposure, tuple[str, Decimal] | None]]:
        """What of the sums these orders are."""
        if self._changed:
            self._add_changed()
        for order in orders:
            found = self._counted.get(order.client_order_id)
            if found is not None:
                yield found.key, found.exposure, found.unpriced


def valued(unpriced: Mapping[tuple[str, Decimal], Decimal], mark_prices: Mapping[str, Decimal]) -> Decimal:
    """What orders of the market's price are worth now.

    Those that name no price at all make one row a symbol; conditional ones one for each trigger price, and the venue allows an
    account two hundred of them.
    """
    total = ZERO
    for (symbol, least), quantity in unpriced.items():
        total = _EXACT.fma(quantity, max(least, mark_prices.get(symbol, ZERO)), total)
    return total


def _count(order: Order) -> _Counted | None:
    """What an order counts as; None once it can do nothing more."""
    live = order.live
    if not live and not order.fills_missing:
        return None
    adding = order.price is None and not order.closing
    return _Counted(
        side_of(order),
        SideExposure.of(order),
        order.meets,
        (order.symbol, order.worst_price or ZERO) if adding else None,
        live and order.untriggered,
        live and order.origin is Origin.QUOTE,
    )


class Replaced:
    """Orders that would make way for another one: what the sums are without them, as long as no order changes."""

    def __init__(
        self, exposures: Exposures, orders: Collection[Order] = (), counted: Mapping[SideKey, SideExposure] | None = None
    ) -> None:
        """`counted` is what the orders are of the sums, where that is known; those name a price."""
        self._exposures, self._orders = exposures, orders
        self._by_side: dict[SideKey, SideExposure] = dict(counted or {})
        self._others: dict[SideKey, SideExposure] = {}
        self._unpriced: dict[str, dict[tuple[str, Decimal], Decimal]] = {}
        for key, exposure, unpriced in exposures.counted(orders) if counted is None else ():
            self._by_side[key] = self._by_side.get(key, NOTHING).changed(exposure, NOTHING)
            if unpriced is not None:
                table = self._unpriced.setdefault(key[0], {})
                table[unpriced] = _EXACT.add(table.get(unpriced, ZERO), exposure.adding)

    def __bool__(self) -> bool:
        return bool(self._orders)

    def __contains__(self, order: object) -> bool:
        return order in self._orders

    def others(self, key: SideKey) -> SideExposure:
        """What the other orders on a side may do."""
        found = self._others.get(key)
        if found is None:
            every, less = self._exposures.at(key), self._by_side.get(key)
            found = self._others[key] = every if less is None else every.changed(NOTHING, less)
        return found

    def worth_of_others(self, strategy: str, mark_prices: Mapping[str, Decimal]) -> Decimal:
        """The money that the other orders of a strategy may add to positions."""
        total = self._exposures.worth(strategy, mark_prices)
        for key, exposure in self._by_side.items():
            if key[0] == strategy:
                total = _EXACT.subtract(total, exposure.worth)
        return _EXACT.subtract(total, valued(self._unpriced.get(strategy, {}), mark_prices))
