"""From what a strategy wants to be true to the fewest order operations that make it true. Pure planning: nothing is sent here.

`Quotes`: an order that rests where one is wanted is kept, with its place in the queue; an order elsewhere is amended to
where one is missing; what is left over is cancelled, what is still missing is placed. Cancels go first, then amendments, the
furthest from the desired state first, then new orders. On no side may more than the desired size be alive at any moment, orders of
unknown fate counted in full: so nothing grows before something else has certainly shrunk.

`Target`: one LIMIT IOC order at a time for what is missing to the wanted position, reduce-only where it closes. In hedge mode a
positive one stands on the LONG side and a negative one on the SHORT side, and what stands on the other side is closed first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import assert_never

import attrs

from coldframe.core.execution.operations import AmendOperation, CancelOperation, Operation, PlaceOperation
from coldframe.core.state.orders import Order, Origin
from coldframe.enums import PositionSide, Side, TimeInForce
from coldframe.model.instruments import Instrument
from coldframe.model.intents import Place, Quote, Quotes, Target
from coldframe.model.orders import Overlay
from coldframe.units import ZERO, trimmed

#: Whether an order has to be replaced to stand at a price with so much left to trade, because it cannot be amended.
Replaces = Callable[[Order, Decimal, Decimal], bool]


def _never(order: Order, price: Decimal, remaining: Decimal) -> bool:
    return False


def plan_quotes(wanted: Quotes, live: Sequence[Order], replaces: Replaces = _never) -> list[Operation]:
    """What has to be done so that `wanted` becomes true, given the strategy's live quoting orders in this symbol.

    Orders for another position side than the wanted one are no longer wanted. An order that `replaces` names is cancelled where
    another one would be amended; what takes its place is placed when it has gone.
    """
    orders = [order for order in live if order.position_side is wanted.position_side]
    other_side: list[Operation] = [
        CancelOperation(order) for order in live if order.position_side is not wanted.position_side and order.confirmed
    ]
    sides = [
        other_side,
        _plan_side(wanted, Side.BUY, wanted.bids, [order for order in orders if order.side is Side.BUY], replaces),
        _plan_side(wanted, Side.SELL, wanted.asks, [order for order in orders if order.side is Side.SELL], replaces),
    ]
    ranked: list[tuple[tuple[int, Decimal], Operation]] = []
    for side in sides:
        placed = 0
        for operation in side:
            ranked.append((_urgency(operation, placed), operation))
            placed += isinstance(operation, PlaceOperation)
    return [operation for _, operation in sorted(ranked, key=lambda pair: pair[0])]


def _urgency(operation: Operation, level: int) -> tuple[int, Decimal]:
    """Sorts the operations of both sides, so that what does not fit the order budgets is what matters least.

    Cancels first; then amendments, the one that is furthest off first; then new orders, the level next to the market first.
    """
    match operation:
        case CancelOperation():
            return 0, ZERO
        case AmendOperation(order, price):
            return 1, -abs((order.price or ZERO) - price)
        case PlaceOperation():
            return 2, Decimal(level)
        case unknown:
            assert_never(unknown)


def distance(quotes: Quotes | None, target: Target | None, orders: Iterable[Order], position: Decimal) -> Decimal:
    """How far the world is from what is wanted of it, in units of the base asset: what is missing, and what is too much."""
    off = ZERO if target is None else abs(target.position - position)
    if quotes is None:
        return off
    standing: dict[tuple[Side, Decimal | None], Decimal] = {}
    for order in (order for order in orders if order.origin is Origin.QUOTE):
        key = (order.side, order.price)
        standing[key] = standing.get(key, ZERO) + order.remaining
    for side, levels in ((Side.BUY, quotes.bids), (Side.SELL, quotes.asks)):
        for price, quantity in _merged(levels).items():
            off += abs(quantity - standing.pop((side, price), ZERO))
    return off + sum(standing.values(), ZERO)


def _plan_side(wanted: Quotes, side: Side, quotes: Sequence[Quote], orders: list[Order], replaces: Replaces) -> list[Operation]:
    missing = _merged(quotes)
    allowed = sum(missing.values(), ZERO)
    room = allowed - sum((order.remaining for order in orders), ZERO)
    operations: list[Operation] = []
    movable: list[Order] = []
    for order in orders:
        price = order.amending_price if order.overlay is Overlay.AMEND_SENT else order.price
        leaving = order.overlay in (Overlay.CANCEL_SENT, Overlay.CANCEL_UNKNOWN)
        quantity = None if leaving or price is None else missing.pop(price, None)
        if not order.confirmed:
            continue  # in flight: it counts, and what comes back decides
        if quantity is None:
            movable.append(order)
        elif quantity != order.remaining:
            room = _move(operations, order, order.price or ZERO, quantity, room, replaces)
    return operations + _fill_gaps(wanted, side, missing, movable, room, replaces)


def _merged(quotes: Iterable[Quote]) -> dict[Decimal, Decimal]:
    """Quantity by price, in the order in which the strategy named them."""
    merged: dict[Decimal, Decimal] = {}
    for quote in quotes:
        if quote.quantity > 0:
            merged[quote.price] = merged.get(quote.price, ZERO) + quote.quantity
    return merged


def _move(
    operations: list[Operation], order: Order, price: Decimal, quantity: Decimal, room: Decimal, replaces: Replaces
) -> Decimal:
    """Adds an amendment if the side has room for what it may add, and returns the room that is left.

    An operation that adds nothing needs no room: on a side that has too much alive it is what brings it down. A cancel in its place
    keeps the same room, for the order that follows it.
    """
    growth = max(quantity - order.remaining, ZERO)
    if growth and growth > room:
        return room
    amends = not replaces(order, price, quantity)
    operations.append(AmendOperation(order, price, order.filled + quantity) if amends else CancelOperation(order))
    return room - growth


def _fill_gaps(
    wanted: Quotes, side: Side, missing: dict[Decimal, Decimal], movable: list[Order], room: Decimal, replaces: Replaces
) -> list[Operation]:
    operations: list[Operation] = []
    # Nearest to the market first on both lists, so that orders move as little as possible.
    gaps = sorted(missing.items(), key=lambda gap: -gap[0] * side.sign)
    spare = sorted(movable, key=lambda order: -(order.price or ZERO) * side.sign)
    pairs = list(zip(spare, gaps, strict=False))
    for order, (price, quantity) in sorted(pairs, key=lambda pair: -abs((pair[0].price or ZERO) - pair[1][0])):
        room = _move(operations, order, price, quantity, room, replaces)
    operations[:0] = [CancelOperation(order) for order in spare[len(pairs) :]]
    for price, quantity in gaps[len(pairs) :]:
        if quantity <= room:
            room -= quantity
            operations.append(PlaceOperation(_quote_order(wanted, side, price, quantity)))
    return operations


def _quote_order(wanted: Quotes, side: Side, price: Decimal, quantity: Decimal) -> Place:
    time_in_force = TimeInForce.GTX if wanted.post_only else TimeInForce.GTC
    return Place(
        symbol=wanted.symbol,
        side=side,
        quantity=quantity,
        price=price,
        time_in_force=time_in_force,
        position_side=wanted.position_side,
        tag=wanted.tag,
    )


@attrs.frozen
class Held:
    """A strategy's position on one side, and what the account has there: as a rule the same."""

    own: Decimal
    account: Decimal
    #: Whether the account's position decides what reduces; else the strategy's own (`coldframe.core.risk.reducing`).
    account_decides: bool = True
    #: Whether nothing may be sent but what reduces.
    only_reduce: bool = False
    side: PositionSide = PositionSide.BOTH

    @property
    def bounded(self) -> bool:
        """Whether an order must not close more than the account has; a side in hedge mode cannot be turned over anyway."""
        return self.account_decides or self.side is not PositionSide.BOTH

    @property
    def closable(self) -> Decimal:
        """How much of its own position closing makes the account's smaller."""
        return min(abs(self.own), abs(self.account)) if self.own * self.account > 0 else ZERO


def plan_hedged_target(
    wanted: Target,
    long: Held,
    short: Held,
    live: Iterable[Order],
    best_bid: Decimal | None,
    best_ask: Decimal | None,
    instrument: Instrument,
) -> list[Operation]:
    """The same for an account in hedge mode, whose position is a `long` one (positive) and a `short` one (negative)."""
    other, held = (short, long) if wanted.position >= 0 else (long, short)
    if other.own:
        closing = attrs.evolve(wanted, position=ZERO)
        operations = plan_target(closing, other, live, best_bid, best_ask, instrument)
        if operations or wanted.position:
            return operations
    return plan_target(wanted, held, live, best_bid, best_ask, instrument)


def plan_target(
    wanted: Target,
    held: Held,
    live: Iterable[Order],
    best_bid: Decimal | None,
    best_ask: Decimal | None,
    instrument: Instrument,
) -> list[Operation]:
    """The order that brings a position to the target, or none: while one is in flight, at the target, or for dust.

    `live` are the strategy's orders for targets in this symbol: any of them that rests is cancelled first. An IOC order that is
    seen as new does not rest: it ends by itself, at once.
    """
    orders = list(live)
    if orders:
        return [CancelOperation(order) for order in orders if order.confirmed and order.time_in_force is not TimeInForce.IOC]
    order = target_order(wanted, held, best_bid, best_ask, instrument)
    return [PlaceOperation(order)] if isinstance(order, Place) else []


def target_order(
    wanted: Target, held: Held, best_bid: Decimal | None, best_ask: Decimal | None, instrument: Instrument
) -> Place | str:
    """The order that comes next on the way to the target; if none may be sent why not, empty where there is nothing to say.

    Where the account decides, an order either reduces or opens: on the way through zero the position is closed first. What would
    have to be refused is not sent.
    """
    gap = wanted.position - held.own
    reduces = held.own * gap < 0
    closes = reduces and held.bounded and held.closable > 0
    if reduces and held.bounded and not closes and (held.only_reduce or held.side is not PositionSide.BOTH):
        return f"the account holds {trimmed(held.account)}: there is nothing to reduce for a position of {trimmed(held.own)}"
    side = Side.BUY if gap > 0 else Side.SELL
    best = best_ask if side is Side.BUY else best_bid
    largest = instrument.filters.lot.max
    missing = min(abs(gap), held.closable) if closes else abs(gap)
    quantity = instrument.quantity(min(missing, largest) if largest else missing)  # what is more takes more than one order
    if best is None or not gap:
        return ""
    if quantity < instrument.min_quantity or not quantity:
        return f"{trimmed(missing)} is less than the smallest order of {trimmed(instrument.min_quantity)}"
    slip = best * wanted.slippage_bps / 10_000
    price = instrument.price_up(best + slip) if side is Side.BUY else instrument.price_down(best - slip)
    dust = instrument.filters.check_notional(price, quantity) is not None
    if dust and not (reduces and quantity <= held.closable):
        least = trimmed(instrument.filters.min_notional)
        return (
            f"{trimmed(quantity)} is worth less than the smallest order of {least}, and does not only reduce the account's position"
        )
    return Place(
        symbol=wanted.symbol,
        side=side,
        quantity=quantity,
        price=price,
        time_in_force=TimeInForce.IOC,
        # Below the smallest notional the venue takes an order only if it reduces.
        reduce_only=(closes or dust) and held.side is PositionSide.BOTH,
        position_side=held.side,
        tag=wanted.tag,
    )
