"""The book of our own orders: every order from its preparation to its end, and every fill exactly once.

States change only through the table of `coldframe.model.orders`. Evidence may come from answers, reports and queries, in any
order and more than once; merging it is idempotent. Fills are recognised by symbol, trade id and order id, so that TRADE_LITE, the
full report, a replay after a reconnect and a query may all tell the same one (protocol.md 10, traps 13 to 15).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final

import attrs

from coldframe.core.state.exposures import Exposures, Replaced
from coldframe.core.state.order import Fill as Fill
from coldframe.core.state.order import LateTerms
from coldframe.core.state.order import Order as Order
from coldframe.core.state.order import Origin as Origin
from coldframe.core.state.order_sets import OrderSet
from coldframe.enums import OrderStatus
from coldframe.ids import OwnId
from coldframe.model.intents import Place
from coldframe.model.orders import (
    AMENDMENT_ENDS,
    SEEN,
    Attempt,
    OrderEvent,
    OrderState,
    Overlay,
    next_overlay,
    next_state,
    resurrects,
)
from coldframe.units import NS_PER_MS, ZERO

#: So many ended orders are remembered, so that late reports still find them. Those that are not settled always are.
ENDED_LIMIT: Final = 20_000
#: How long an order that was given up without a word of the venue counts as one that may still live (milliseconds).
POSSIBLE_MS: Final = 600_000


#: States in which it is not known whether the venue has an order.
_DOUBTFUL: Final = (OrderState.UNKNOWN, OrderState.NEEDS_OPERATOR)
#: What of the venue's own words tells of an end; any other end is an inference.
_WORDS: Final = {
    OrderState.FILLED: (OrderEvent.SEEN_FILLED,),
    OrderState.CANCELED: (OrderEvent.SEEN_CANCELED,),
    OrderState.EXPIRED: (OrderEvent.SEEN_EXPIRED,),
    OrderState.REJECTED: (OrderEvent.REFUSED_AT_TRIGGER,),
}


class Orders:
    """All own orders of a run."""

    def __init__(self, epoch_ms: int, ended_limit: int = ENDED_LIMIT) -> None:
        self._epoch_ms = epoch_ms
        self._ended_limit = ended_limit
        self._count = 0
        self._by_client_id: dict[str, Order] = {}
        self._by_order_id: dict[tuple[str, int], Order] = {}
        self._live = OrderSet()
        #: Of the live ones those of which it is not known whether the venue has them.
        self._doubtful = OrderSet()
        #: Of the live ones those that are in doubt, or do not rest at the venue.
        self._unsettled = OrderSet()
        #: Of the live ones those that keep `Quotes` true, those that only close, those with an amendment that may still be made.
        self._quotes, self._closing, self._late = OrderSet(), OrderSet(), OrderSet()
        #: Orders that have ended, in the order in which they may be forgotten.
        self._ended: dict[str, Order] = {}
        #: By symbol, the trade up to which everything is known (see `core.tradescan`).
        self.trade_cursors: dict[str, int] = {}
        #: Symbols in which there have been conditional orders.
        self.conditional_symbols: set[str] = set()
        #: By symbol, the highest trade that was booked.
        self._highest: dict[str, int] = {}
        #: Orders that have ended by inference, and may come back.
        self._given_up: dict[str, Order] = {}
        #: Orders whose fills have not all been told, and of those the ones that have ended.
        self._missing, self._owing = OrderSet(), OrderSet()
        #: What all that is live or owed may still do to positions, added up.
        self.exposures = Exposures()
        self._fills: dict[tuple[str, int, int], Fill] = {}
        #: Reports that contradicted a terminal state.
        self.incidents = 0
        #: Orders that have changed since `take_changed` was last called, in the order in which they did.
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
    def live(self) -> OrderSet:
        """Every order that is or may be alive, oldest first."""
        return self._live

    @property
    def doubtful(self) -> int:
        """Of how many orders it is not known whether the venue has them."""
        return len(self._doubtful)

    def doubtful_in(self, symbol: str) -> int:
        """Of how many orders the fate shuts new risk in a symbol: its own, and no others."""
        return len(self._doubtful.within(symbol))

    def of(self, strategy: str, symbol: str | None = None) -> Collection[Order]:
        """The live orders of a strategy, oldest first."""
        return self._live.of(strategy, symbol)

    @property
    def unsettled(self) -> OrderSet:
        """Every live order that is in doubt, or of which the venue has not confirmed that it stands in its book."""
        return self._unsettled

    @property
    def closing(self) -> OrderSet:
        """Every live order that the venue lets only make a position smaller."""
        return self._closing

    @property
    def late(self) -> OrderSet:
        """Every live order with an amendment that was not made and may still arrive."""
        return self._late

    @property
    def missing_fills(self) -> OrderSet:
        """Every order, live or ended, of which the venue has counted more than has been told."""
        return self._missing

    @property
    def owed(self) -> OrderSet:
        """Every order that has ended, and whose fills have not all been told yet."""
        return self._owing

    def owing(self, strategy: str, symbol: str | None = None) -> Collection[Order]:
        """The orders of a strategy that have ended, and whose fills have not all been told yet."""
        return self._owing.of(strategy, symbol)

    def everywhere(self, symbol: str) -> Iterator[Order]:
        """Every order of a symbol that may still change a position, of any owner."""
        yield from (*self._live.within(symbol), *self._owing.within(symbol))

    @property
    def fills_owed(self) -> int:
        """How many orders have ended whose fills have not all been told."""
        return len(self._owing)

    def exposed(self, strategy: str, symbol: str | None = None) -> Iterator[Order]:
        """Every order of a strategy that may still change its position."""
        yield from self.of(strategy, symbol)
        yield from self.owing(strategy, symbol)

    def replacing(self, orders: Iterable[Order] = ()) -> Replaced:
        """Orders that would make way for another one, taken out of the sums."""
        return Replaced(self.exposures, tuple(orders))

    def quotes(self, strategy: str, symbol: str) -> Collection[Order]:
        """The live orders that keep the `Quotes` of a strategy in a symbol true, oldest first."""
        return self._quotes.of(strategy, symbol)

    def replacing_quotes(self, strategy: str, symbol: str) -> Replaced:
        """The same for all live quotes of a strategy in a symbol."""
        return Replaced(self.exposures, self.quotes(strategy, symbol), self.exposures.quoted(strategy, symbol))

    def worth_keeping(self, ended: int) -> list[Order]:
        """What a checkpoint holds: all live orders, those that are not settled, and so many of those that ended last."""
        over = [order for order in self._by_client_id.values() if not order.live]
        late = {order.client_order_id for order in over[-ended:]}
        return [order for order in self._by_client_id.values() if not self._settled(order) or order.client_order_id in late]

    def _settled(self, order: Order) -> bool:
        """Whether nothing that may still come concerns it: ended, every fill told, and none of them above the mark."""
        mark = self.trade_cursors.get(order.symbol, 0)
        return order.state.terminal and not order.fills_missing and all(key[1] <= mark for key in order.fill_keys)

    @property
    def unscanned(self) -> set[str]:
        """Symbols in which fills were booked that no completed scan has passed yet."""
        return {symbol for symbol, highest in self._highest.items() if highest > self.trade_cursors.get(symbol, 0)}

    @property
    def given_up(self) -> int:
        """How many orders were given up lately without a word of the venue, and may come back."""
        return len(self._given_up)

    def possible(self, now_ns: int) -> set[str]:
        """Symbols in which an order may live that was given up lately: proved absent, or settled by a person's word."""
        for name, order in list(self._given_up.items()):
            if not order.inferred or now_ns - order.ended_ns >= POSSIBLE_MS * NS_PER_MS:
                del self._given_up[name]
        return {order.symbol for order in self._given_up.values()}

    def __len__(self) -> int:
        return len(self._by_client_id)

    # -- life ---------------------------------------------------------------------------------------------------------

    def prepare(self, strategy: str, place: Place, origin: Origin, now_ns: int, *, reported: bool = True) -> Order:
        """A new order with a fresh client order id, accepted by pre-trade risk and not yet sent.

        `reported`: whether the report of its acceptance would come; that tells how much the absence of one means.
        """
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
            tag=place.tag,
            created_ns=now_ns,
            unreported=not reported,
        )
        self._by_client_id[order.client_order_id] = order
        self._note_type(order)
        self.apply(order, OrderEvent.ACCEPTED, now_ns)
        return order

    def _note_type(self, order: Order) -> None:
        if order.type.conditional:
            self.conditional_symbols.add(order.symbol)

    def adopt(self, order: Order, now_ns: int) -> Order:
        """An order that this run has not made (see `core.takeover`) is one of ours from now on."""
        order.created_ns = now_ns
        self.touched[order.client_order_id] = order
        self._by_client_id[order.client_order_id] = order
        if order.order_id is not None:
            self._by_order_id[(order.symbol, order.order_id)] = order
        self._note_type(order)
        self._file(order)
        return order

    def add_emergency(self, order: Order, now_ns: int) -> None:
        """Takes in an order of ours that was sent past the order executor, by the kill switch: from now on it is one like all
        others."""
        self._by_client_id[order.client_order_id] = order
        self.apply(order, OrderEvent.ACCEPTED, now_ns)

    def restore(self, order: Order, fills: Iterable[Fill], now_ns: int) -> None:
        """Takes over an order of an earlier run, with what of it had been booked. What was in flight has become unknown."""
        self._by_client_id[order.client_order_id] = order
        if order.order_id is not None:
            self._by_order_id[(order.symbol, order.order_id)] = order
        self._note_type(order)
        for fill in fills:
            self._keep(order, fill)
        if not order.live:
            self._note_ended(order)
            self._file(order)
            return
        order.unreported = True
        self._file(order)
        self.apply(order, OrderEvent.RESTARTED, now_ns, "the process was restarted")
        for attempt in (Attempt.CANCEL_UNKNOWN, Attempt.AMEND_UNKNOWN):
            self.attempt(order, attempt)

    def apply(self, order: Order, event: OrderEvent, now_ns: int, reason: str = "", at_ms: int = 0) -> bool:
        """Lets something happen to an order. Returns whether its state changed.

        `at_ms` is the venue time of what the venue said; 0 where the venue said nothing, or not when.
        """
        before, after = order.state, next_state(order.state, event)
        self.touch(order)
        if before.terminal and after.live and not order.comes_back(at_ms):
            return False
        if after.terminal and at_ms and event in _WORDS.get(after, ()):
            order.ended_ms = max(order.ended_ms, at_ms)
        if after is before:
            return False
        self.incidents += resurrects(before, event)
        order.state = after
        if reason:
            order.reason = reason
        if order.live:
            order.ended_ns = order.ended_ms = 0
            self._ended.pop(order.client_order_id, None)
        else:
            order.ended_ns = now_ns
            order.overlay = Overlay.NONE
            order.amending_price = order.amending_quantity = None
            self._note_ended(order)
        self._file(order)
        return True

    def _note_ended(self, order: Order) -> None:
        name = order.client_order_id
        self._ended[name] = order
        if order.inferred and order.state not in (OrderState.DENIED, OrderState.REJECTED):
            self._given_up[name] = order
        self._forget_oldest()

    def attempt(self, order: Order, attempt: Attempt) -> bool:
        """Lets something happen to its cancel or amendment. Returns whether the overlay changed."""
        before = order.overlay
        amending = order.amending_quantity is not None and attempt not in AMENDMENT_ENDS
        order.overlay = next_overlay(before, attempt, amending=amending)
        self.touch(order)
        if order.overlay is Overlay.NONE or attempt in AMENDMENT_ENDS:
            order.amending_price = order.amending_quantity = None
        return order.overlay is not before

    def unreport(self) -> None:
        """Reports may have been lost: also those of orders that the venue has not acknowledged yet."""
        for order in self._live:
            order.unreported |= not order.acknowledged

    def activated(self, order: Order) -> None:
        """A trailing order has reached its activation price."""
        order.activated = True
        self.touch(order)

    def algo_reported(self, order: Order, algo_id: int, rank: int) -> None:
        """The algo methods have named a conditional order, and how far it has come at least."""
        if (order.algo_id, order.algo_rank) != (algo_id, max(rank, order.algo_rank)):
            order.algo_id, order.algo_rank = algo_id, max(rank, order.algo_rank)
            self.touch(order)

    def triggered(self, order: Order, at_ms: int) -> None:
        """It became known at this venue time that a conditional order waits no more."""
        order.triggered_ms = at_ms
        order.found()
        self.touch(order)

    def amendment_requested(self, order: Order, price: Decimal, quantity: Decimal, at_ms: int = 0) -> None:
        """An amendment to these terms goes out."""
        order.amendment_requested(price, quantity, at_ms)
        self.exposures.changed(order)

    def terms_may_come(self, order: Order, late: LateTerms | None) -> None:
        """An amendment that was not made may be made yet; None: it can no more."""
        order.late = late
        self._file(order)
        self.touch(order)

    def terms_reported(self, order: Order, quantity: Decimal, price: Decimal, at_ms: int) -> None:
        """The terms that the venue had at this venue time.

        What is new of them goes into the journal, also where nothing else of the order changes: a query, a late report.
        """
        if order.terms_reported(quantity, price, at_ms):
            self.touch(order)

    def filled_by_report(self, order: Order) -> None:
        """A person has seen at the venue that all of it has traded."""
        order.filled_by_report()
        self._file(order)

    def doubted(self, order: Order, now_ns: int) -> None:
        """There is reason to doubt what is known of an order."""
        order.doubted(now_ns)
        self._file(order)

    def contradicted(self) -> None:
        """Evidence contradicts what was final (faults.md I2)."""
        self.incidents += 1

    def take_changed(self) -> dict[str, Order]:
        """The orders that have changed since this was last asked, in the order in which they did."""
        touched, self.touched = self.touched, {}
        return touched

    def known_up_to(self, trade_cursors: Mapping[str, int]) -> None:
        """By symbol, a completed scan has brought every trade up to this one."""
        self.trade_cursors.update(trade_cursors)

    def touch(self, order: Order) -> None:
        """Something about an order has changed."""
        self.touched[order.client_order_id] = order
        self.exposures.changed(order)

    def identify(self, order: Order, order_id: int) -> None:
        """The venue's id of an order has become known."""
        if order.order_id is None:
            self.touch(order)
            order.order_id = order_id
            self._by_order_id[(order.symbol, order_id)] = order

    def see(self, order: Order, status: OrderStatus, seen_filled: Decimal, now_ns: int, reason: str = "", at_ms: int = 0) -> bool:
        """Merges positive evidence: a status and a cumulative quantity. Returns whether the state changed.

        An unknown status tells only that the order exists: what became of it has to be asked for.
        """
        order.seen_filled = max(order.seen_filled, seen_filled)
        order.not_found = order.doubted_ns = 0
        order.not_found_dead = False
        self._file(order)
        event = SEEN.get(status, OrderEvent.OUTCOME_UNKNOWN)
        if event is OrderEvent.SEEN_NEW and order.seen_filled > 0:
            event = OrderEvent.SEEN_PARTIAL
        return self.apply(order, event, now_ns, reason, at_ms)

    # -- fills --------------------------------------------------------------------------------------------------------

    def knows(self, fill: Fill) -> bool:
        """Whether a fill is booked to one of our orders."""
        return fill.key in self._fills

    def book(self, order: Order, fill: Fill, now_ns: int) -> Fill | None:
        """Books a fill. Returns it when it is new, also after the order's end, and None for one that is known already.

        A fill that the venue had counted when it ended the order belongs to that end, and changes nothing about it.
        """
        if fill.key in self._fills:
            return None
        uncounted = order.filled + fill.quantity > order.seen_filled
        self._keep(order, fill)
        order.filled += fill.quantity
        order.seen_filled = max(order.seen_filled, order.filled)
        self._file(order)
        at_ms = max(fill.trade_ms, order.ended_ms + 1) if uncounted else fill.trade_ms
        if order.state.terminal and not order.comes_back(at_ms):
            self.touch(order)
            return fill
        whole = not order.close_position or order.terms_ms > 0
        full = whole and order.filled >= max(order.quantity, order.amending_quantity or ZERO)
        self.apply(order, OrderEvent.SEEN_FILLED if full else OrderEvent.SEEN_PARTIAL, now_ns, at_ms=at_ms)
        return fill

    def pass_over(self, order: Order, fill: Fill) -> None:
        """A fill of an order that was taken over is in the positions already: it counts as told, and is not booked."""
        if fill.key in self._fills:
            return
        order.before[fill.key] = fill.quantity
        booked = sum((self._fills[key].quantity for key in order.fill_keys), ZERO)
        order.filled = max(order.filled, sum(order.before.values(), ZERO) + booked)
        order.seen_filled = max(order.seen_filled, order.filled)
        self._file(order)
        self.touch(order)

    def _keep(self, order: Order, fill: Fill) -> None:
        self._fills[fill.key] = fill
        order.fill_keys.append(fill.key)
        self._highest[fill.symbol] = max(self._highest.get(fill.symbol, 0), fill.trade_id)

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

    def _file(self, order: Order) -> None:
        """Keeps every set and sum in step with an order whose state or fills have changed."""
        ended, missing = order.state.terminal, order.fills_missing
        self._live.keep(order, order.live)
        self._quotes.keep(order, order.live and order.origin is Origin.QUOTE)
        self._doubtful.keep(order, order.state in _DOUBTFUL)
        self._unsettled.keep(order, order.live and (order.doubted_ns > 0 or not order.state.resting))
        self._closing.keep(order, order.live and order.closing)
        self._late.keep(order, order.live and order.late is not None)
        self._missing.keep(order, missing)
        self._owing.keep(order, missing and ended)
        self.exposures.changed(order)

    def _forget_oldest(self) -> None:
        """Keeps memory bounded: what ended longest ago goes, with its fills. What is not settled stays, however much that is."""
        for _ in range(2):
            if len(self._ended) <= self._ended_limit:
                return
            name, order = next(iter(self._ended.items()))
            del self._ended[name]
            if not self._settled(order):
                self._ended[name] = order  # looked at again when its turn comes
                continue
            del self._by_client_id[name]
            self._given_up.pop(name, None)
            if order.order_id is not None:
                self._by_order_id.pop((order.symbol, order.order_id), None)
            for key in order.fill_keys:
                del self._fills[key]
