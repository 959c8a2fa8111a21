"""The book of our own orders: every order from its preparation to its end, and every fill exactly once.

States change only through the table of `coldframe.model.orders`. Evidence may come from answers, reports and queries, in any
order and more than once; merging it is idempotent. Fills are recognised by symbol, trade id and order id, so that TRADE_LITE, the
full report, a replay after a reconnect and a query may all tell the same one (protocol.md 10, traps 13 to 15).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Final

import attrs

from coldframe.ids import OwnId
from coldframe.model.intents import Place
from coldframe.model.orders import (
    SEEN,
    Attempt,
    Happening,
    OrderState,
    Overlay,
    next_overlay,
    next_state,
    resurrects,
)
from coldframe.terms import OrderStatus, OrderType, PositionSide, Side, TimeInForce
from coldframe.units import ZERO

#: Ended orders are remembered this long (in number), so that late reports still find them.
ENDED_LIMIT: Final = 20_000


class Origin(StrEnum):
    """What an order was placed for: by itself, to keep `Quotes` true, or to reach a `Target`."""

    PLACE = "place"
    QUOTE = "quote"
    TARGET = "target"


@attrs.frozen
class Fill:
    """One execution of one of our orders. `fee` is None until a report that knows it has come (TRADE_LITE does not)."""

    symbol: str
    trade_id: int
    order_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    maker: bool
    trade_ms: int
    position_side: PositionSide = PositionSide.BOTH
    fee: Decimal | None = None
    fee_asset: str = ""

    @property
    def key(self) -> tuple[str, int, int]:
        """What makes a fill this fill; the order id is in it because a self-trade gives both orders the same trade id."""
        return self.symbol, self.trade_id, self.order_id

    @property
    def notional(self) -> Decimal:
        """What was traded, in the quote asset."""
        return self.price * self.quantity


@attrs.define(eq=False)
class Order:
    """One order. Quantities in base units; `price` is None for a market order."""

    client_order_id: str
    strategy: str
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal | None
    origin: Origin = Origin.PLACE
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH
    #: A conditional order's: what it waits for, and what it does then. `quantity` is a guess while it closes a whole position.
    trigger_price: Decimal | None = None
    activate_price: Decimal | None = None
    close_position: bool = False
    #: The venue's id of it as a conditional order, how far that has come (see `coldframe.core.conditional`), and the venue time at
    #: which its trigger became known; `order_id` is that of the order it becomes.
    algo_id: int | None = None
    algo_rank: int = 0
    triggered_ms: int = 0
    state: OrderState = OrderState.INTENT
    overlay: Overlay = Overlay.NONE
    order_id: int | None = None
    #: Sum of the fills that were booked.
    filled: Decimal = ZERO
    #: The highest cumulative quantity any evidence has named: above `filled` while a fill is still missing.
    seen_filled: Decimal = ZERO
    created_ns: int = 0
    #: Venue time of the request that placed it; 0 before it was written.
    sent_ms: int = 0
    ended_ns: int = 0
    reason: str = ""
    #: The price and quantity of an amendment that is on its way: exposure is the worse of both.
    amending_price: Decimal | None = None
    amending_quantity: Decimal | None = None
    #: Venue time of the terms (quantity, price) that are known.
    terms_ms: int = 0
    #: Whether a cancel of ours has ever gone out: an end by cancel without one is somebody else's doing.
    cancel_asked: bool = False
    #: Queries that did not find it, and when the first of them was made.
    not_found: int = 0
    not_found_ns: int = 0
    #: Whether one of those queries was made when its request could no longer be accepted.
    not_found_dead: bool = False
    #: Since when somebody doubts it; 0 while nobody does.
    doubted_ns: int = 0
    #: For an order of an earlier run: trades up to this venue time were booked before.
    taken_ms: int = 0
    fill_keys: list[tuple[str, int, int]] = attrs.field(factory=list)

    @property
    def live(self) -> bool:
        return self.state.live

    @property
    def untriggered(self) -> bool:
        """Whether it is a conditional order that is not known to have been triggered: only the algo methods speak of it."""
        return self.type.conditional and not self.triggered_ms

    @property
    def closing(self) -> bool:
        """Whether the venue lets it only make a position smaller."""
        return self.reduce_only or self.close_position or self.position_side.closed_by(self.side)

    @property
    def remaining(self) -> Decimal:
        """What may still trade, at worst: nothing once it has ended, the larger quantity while an amendment is open."""
        if not self.live:
            return ZERO
        quantity = max(self.quantity, self.amending_quantity or ZERO)
        return max(quantity - self.filled, ZERO)

    @property
    def exposure(self) -> Decimal:
        """What it may still do to the position that is booked: trade, or have traded already."""
        return self.remaining if self.live else max(self.seen_filled - self.filled, ZERO)

    @property
    def worst_price(self) -> Decimal | None:
        """The highest price that its terms name, so that it is never valued too low; None when they name none."""
        named = (self.price, self.amending_price, self.trigger_price, self.activate_price)
        return max((one for one in named if one is not None), default=None)

    def amending(self, price: Decimal, quantity: Decimal) -> bool:
        """Whether these are the terms of the amendment that is open: news of an earlier one may come while it is on its way."""
        return (self.amending_price, self.amending_quantity) == (price, quantity)

    @property
    def fills_missing(self) -> bool:
        return self.seen_filled > self.filled

    @property
    def settled(self) -> bool:
        """Whether nothing about it is in flight: it rests, confirmed, and neither a cancel nor an amendment is open."""
        return self.state.resting and self.overlay is Overlay.NONE


class Orders:
    """All own orders of a run."""

    def __init__(self, epoch_ms: int) -> None:
        self._epoch_ms = epoch_ms
        self._count = 0
        self._by_client_id: dict[str, Order] = {}
        self._by_order_id: dict[tuple[str, int], Order] = {}
        self._live: dict[str, Order] = {}
        #: Orders that have ended and whose fills have not all been told.
        self._owing: dict[str, Order] = {}
        self._fills: dict[tuple[str, int, int], Fill] = {}
        #: Reports that contradicted a terminal state.
        self.incidents = 0
        #: Orders that have changed since somebody looked, in the order in which they did.
        self.touched: dict[str, Order] = {}

    # -- looking ------------------------------------------------------------------------------------------------------

    @property
    def epoch_ms(self) -> int:
        """The start of the run: stands in every client order id of it."""
        return self._epoch_ms

    def get(self, client_order_id: str) -> Order | None:
        return self._by_client_id.get(client_order_id)

    def find(self, symbol: str, client_order_id: str, order_id: int) -> Order | None:
        """The order a report speaks of, by the venue's id or by ours."""
        return self._by_order_id.get((symbol, order_id)) or self._by_client_id.get(client_order_id)

    @property
    def live(self) -> Iterable[Order]:
        """Every order that is or may be alive, oldest first."""
        return self._live.values()

    @property
    def doubtful(self) -> int:
        """Of how many orders nobody knows whether the venue has them."""
        return sum(1 for _ in self.doubtful_orders)

    @property
    def doubtful_orders(self) -> Iterator[Order]:
        """The orders of which nobody knows whether the venue has them."""
        return (one for one in self._live.values() if one.state in (OrderState.UNKNOWN, OrderState.OPERATOR))

    def doubtful_in(self, symbol: str) -> int:
        """Of how many orders the fate shuts new risk in a symbol: its own, and no others."""
        return sum(order.symbol == symbol for order in self.doubtful_orders)

    def of(self, strategy: str, symbol: str | None = None) -> Iterator[Order]:
        """The live orders of a strategy, oldest first."""
        for order in self._live.values():
            if order.strategy == strategy and (symbol is None or order.symbol == symbol):
                yield order

    @property
    def owed(self) -> Iterable[Order]:
        """Every order that has ended, and whose fills have not all been told yet."""
        return self._owing.values()

    def owing(self, strategy: str, symbol: str | None = None) -> Iterator[Order]:
        """The orders of a strategy that have ended, and whose fills have not all been told yet."""
        for order in self._owing.values():
            if order.strategy == strategy and (symbol is None or order.symbol == symbol):
                yield order

    def everywhere(self, symbol: str) -> Iterator[Order]:
        """Every order of a symbol that may still change a position, whoever's it is."""
        yield from (order for order in (*self._live.values(), *self._owing.values()) if order.symbol == symbol)

    @property
    def fills_owed(self) -> int:
        """How many orders have ended whose fills have not all been told."""
        return len(self._owing)

    def exposed(self, strategy: str, symbol: str | None = None) -> Iterator[Order]:
        """Every order of a strategy that may still change its position."""
        yield from self.of(strategy, symbol)
        yield from self.owing(strategy, symbol)

    def worth_keeping(self, ended: int) -> list[Order]:
        """What a checkpoint holds: all live orders, those whose fills are not all told, and so many of those that ended last."""
        over = [one for one in self._by_client_id.values() if not one.live]
        late = {one.client_order_id for one in over[-ended:]}
        return [one for one in self._by_client_id.values() if one.live or one.fills_missing or one.client_order_id in late]

    def __len__(self) -> int:
        return len(self._by_client_id)

    # -- life ---------------------------------------------------------------------------------------------------------

    def prepare(self, strategy: str, place: Place, origin: Origin, now_ns: int) -> Order:
        """A new order with a fresh client order id, accepted by the gate and not yet sent."""
        self._count += 1
        order = Order(
            client_order_id=str(OwnId(strategy, self.epoch_ms, self._count)),
            strategy=strategy,
            symbol=place.symbol,
            side=place.side,
            type=place.type,
            time_in_force=place.time_in_force,
            quantity=place.quantity,
            price=place.price,
            origin=origin,
            reduce_only=place.reduce_only,
            position_side=place.position_side,
            trigger_price=place.trigger_price,
            activate_price=place.activate_price,
            close_position=place.close_position,
            created_ns=now_ns,
        )
        self._by_client_id[order.client_order_id] = order
        self.happen(order, Happening.ACCEPTED, now_ns)
        return order

    def take_over(self, order: Order, now_ns: int) -> Order:
        """An order that this run has not made (see `core.takeover`) is one of ours from now on."""
        assert order.order_id is not None
        order.created_ns = now_ns
        self.touched[order.client_order_id] = order
        self._by_client_id[order.client_order_id] = order
        self._by_order_id[(order.symbol, order.order_id)] = order
        self._live[order.client_order_id] = order
        return order

    def adopt(self, order: Order, now_ns: int) -> None:
        """Takes in an order of ours that was sent past the desk, by the brake: from now on it is one like all others."""
        self._by_client_id[order.client_order_id] = order
        self.happen(order, Happening.ACCEPTED, now_ns)

    def restore(self, order: Order, fills: Iterable[Fill], now_ns: int) -> None:
        """Takes over an order of an earlier run, with what of it had been booked. What was in flight has become unknown."""
        self._by_client_id[order.client_order_id] = order
        if order.order_id is not None:
            self._by_order_id[(order.symbol, order.order_id)] = order
        for fill in fills:
            self._fills[fill.key] = fill
            order.fill_keys.append(fill.key)
        if not order.live:
            self._note_owing(order)
            return
        self._live[order.client_order_id] = order
        self.happen(order, Happening.RESTARTED, now_ns, "the process was restarted")
        for attempt in (Attempt.CANCEL_UNKNOWN, Attempt.AMEND_UNKNOWN):
            self.attempt(order, attempt)

    def happen(self, order: Order, happening: Happening, now_ns: int, reason: str = "") -> bool:
        """Lets something happen to an order. Returns whether its state changed."""
        before = order.state
        self.incidents += resurrects(before, happening)
        order.state = next_state(before, happening)
        self.touch(order)
        if order.state is before:
            return False
        if reason:
            order.reason = reason
        if order.live:
            self._live[order.client_order_id] = order
        else:
            order.ended_ns = now_ns
            order.overlay = Overlay.NONE
            order.amending_price = order.amending_quantity = None
            self._live.pop(order.client_order_id, None)
            self._forget_oldest()
        self._note_owing(order)
        return True

    def attempt(self, order: Order, attempt: Attempt) -> bool:
        """Lets something happen to its cancel or amendment. Returns whether the overlay changed."""
        before = order.overlay
        order.overlay = next_overlay(before, attempt)
        self.touch(order)
        if order.overlay is Overlay.NONE:
            order.amending_price = order.amending_quantity = None
        return order.overlay is not before

    def touch(self, order: Order) -> None:
        """Something about an order has changed."""
        self.touched[order.client_order_id] = order

    def identify(self, order: Order, order_id: int) -> None:
        """The venue's id of an order has become known."""
        if order.order_id is None:
            self.touch(order)
            order.order_id = order_id
            self._by_order_id[(order.symbol, order_id)] = order

    def see(self, order: Order, status: OrderStatus, seen_filled: Decimal, now_ns: int, reason: str = "") -> bool:
        """Merges positive evidence: a status and a cumulative quantity. Returns whether the state changed.

        A status that nobody knows tells only that the order exists: what became of it has to be asked for.
        """
        order.seen_filled = max(order.seen_filled, seen_filled)
        order.not_found = order.doubted_ns = 0
        order.not_found_dead = False
        self._note_owing(order)
        happening = SEEN.get(status, Happening.OUTCOME_UNKNOWN)
        if happening is Happening.SEEN_NEW and order.seen_filled > 0:
            happening = Happening.SEEN_PARTIAL
        return self.happen(order, happening, now_ns, reason)

    # -- fills --------------------------------------------------------------------------------------------------------

    def book(self, order: Order, fill: Fill, now_ns: int) -> Fill | None:
        """Books a fill. Returns it when it is new, also after the order's end, and None for one that is known already."""
        if fill.key in self._fills:
            return None
        self._fills[fill.key] = fill
        order.fill_keys.append(fill.key)
        order.filled += fill.quantity
        order.seen_filled = max(order.seen_filled, order.filled)
        self._note_owing(order)
        whole = not order.close_position or order.terms_ms > 0
        if whole and order.filled >= max(order.quantity, order.amending_quantity or ZERO):
            self.happen(order, Happening.SEEN_FILLED, now_ns)
        else:
            self.happen(order, Happening.SEEN_PARTIAL, now_ns)
        return fill

    def fills_of(self, order: Order) -> list[Fill]:
        """What of an order has been booked, oldest first."""
        return [self._fills[key] for key in order.fill_keys]

    def learn_fee(self, fill: Fill) -> Decimal | None:
        """The fee of a fill that was booked without one; None when there is nothing to learn."""
        known = self._fills.get(fill.key)
        if known is None or known.fee is not None or fill.fee is None:
            return None
        self._fills[fill.key] = attrs.evolve(known, fee=fill.fee, fee_asset=fill.fee_asset)
        return fill.fee

    def _note_owing(self, order: Order) -> None:
        if order.fills_missing and order.state.terminal:
            self._owing[order.client_order_id] = order
        else:
            self._owing.pop(order.client_order_id, None)

    def _forget_oldest(self) -> None:
        """Keeps memory bounded: the longest ended orders go, with their fills."""
        if len(self._by_client_id) - len(self._live) <= ENDED_LIMIT:
            return
        for client_order_id, order in self._by_client_id.items():
            if not order.live:
                del self._by_client_id[client_order_id]
                self._owing.pop(client_order_id, None)
                if order.order_id is not None:
                    self._by_order_id.pop((order.symbol, order.order_id), None)
                for key in order.fill_keys:
                    del self._fills[key]
                return
