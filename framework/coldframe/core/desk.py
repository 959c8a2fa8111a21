"""The order side: from an intent that passed the gate to a request, and from what comes back to what the order has become.

An order is sent at most once; when its fate is unknown it is asked for, with growing pauses, until evidence decides. Cancels may be
repeated. What a strategy wants to be true (`Quotes`, `Target`) is compared with what is true after everything that happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import attrs

from coldframe.core.context import Context
from coldframe.core.evidence import Evidence, describe
from coldframe.core.limits import Priority
from coldframe.core.orders import Order, Orders, Origin
from coldframe.core.quotes import AmendOrder, CancelOrder, Operation, PlaceOrder
from coldframe.core.risk import Facts, Gate, Trader
from coldframe.core.session import Answered, Session, SessionEvent, Unanswered
from coldframe.errors import DecodeError
from coldframe.model.effects import Level
from coldframe.model.intents import ACCEPTED, Amend, Place, Verdict, VerdictCode
from coldframe.model.orders import Attempt, Happening, OrderState, Overlay
from coldframe.terms import OrderType, PositionSide, PriceMatch, TimeInForce
from coldframe.units import NS_PER_MS, plain
from coldframe.wire import requests as ask
from coldframe.wire.codec import Census, decode
from coldframe.wire.codes import CodeClass, classify
from coldframe.wire.codes import describe as describe_code
from coldframe.wire.replies import ErrorBody, OrderReply

#: Pause before the first query of an order of unknown fate, doubled up to the last one (milliseconds).
FIRST_QUERY_MS: Final = 500
LAST_QUERY_MS: Final = 8_000
#: How far apart two queries must lie for both of them to count as "not found".
NOT_FOUND_APART_MS: Final = 5_000
#: Beyond timestamp and receive window, how long an order may still appear at the venue.
DEAD_MARGIN_MS: Final = 2_000


@attrs.frozen
class PlaceOf:
    """The purpose of an order.place."""

    order: Order


@attrs.frozen
class CancelOf:
    """The purpose of an order.cancel."""

    order: Order


@attrs.frozen
class AmendOf:
    """The purpose of an order.modify, with what it asks for."""

    order: Order
    price: Decimal
    quantity: Decimal


@attrs.frozen
class QueryOf:
    """The purpose of an order.status."""

    order: Order


class Desk:
    """Sends orders, cancels and amendments, and follows each of them until it is known what became of it."""

    def __init__(self, ctx: Context, session: Session, orders: Orders, evidence: Evidence, gate: Gate, recv_window_ms: int) -> None:
        self._ctx = ctx
        self._session = session
        self._orders = orders
        self._evidence = evidence
        self._gate = gate
        self._recv_window_ms = recv_window_ms
        self._census = Census()
        self._query_at_ns: dict[str, int] = {}
        self._query_pause_ms: dict[str, int] = {}
        self._asked: set[str] = set()
        #: Set when an answer says that our clock is off; the engine asks for the time and clears it.
        self.clock_suspect = False
        #: Orders whose fills a query has to bring: cumulative quantity above what was booked.
        self.fills_wanted: set[str] = set()

    # -- sending ------------------------------------------------------------------------------------------------------

    def place(self, trader: Trader, place: Place, origin: Origin, facts: Facts) -> Verdict:
        """Sends an order if the gate and the rate limits let it pass."""
        verdict = self._gate.check(trader, place, facts)
        if not verdict.accepted:
            return verdict
        wait_until = self._session.cost_fits("order.place", {}, Priority.NEW_RISK)
        if wait_until:
            return Verdict(VerdictCode.RATE_LIMIT, f"no room in the venue's limits for {wait_until - self._ctx.venue_ms} ms")
        order = self._orders.prepare(trader.id, place, origin, self._ctx.now_ns)
        trader.ordered(self._ctx.now_ms)
        self._evidence.tally.sent += 1
        self._session.request("order.place", ask.parameters(_place_request(order, place)), PlaceOf(order))
        return ACCEPTED

    def amend(self, trader: Trader, amend: Amend, facts: Facts) -> Verdict:
        """Changes price or quantity of a resting order if gate and limits allow what it would become."""
        order = self._orders.get(amend.client_order_id)
        if order is None or order.strategy != trader.id or not order.live:
            return Verdict(VerdictCode.UNKNOWN_ORDER, f"no live order {amend.client_order_id} of this strategy")
        if order.type is not OrderType.LIMIT or not order.settled or order.price is None:
            return Verdict(VerdictCode.NOT_AMENDABLE, f"{describe(order)} cannot be amended now")
        price = order.price if amend.price is None else amend.price
        quantity = order.quantity if amend.quantity is None else amend.quantity
        if price == order.price and quantity == order.quantity:
            return Verdict(VerdictCode.NO_CHANGE)
        remaining = quantity - order.filled
        become = Place(
            symbol=order.symbol,
            side=order.side,
            quantity=remaining if remaining > 0 else quantity,
            price=price,
            time_in_force=order.time_in_force,
            reduce_only=order.reduce_only,
            position_side=order.position_side,
        )
        verdict = self._gate.check(trader, become, facts, replaces=(order,))
        if not verdict.accepted:
            return verdict
        wait_until = self._session.cost_fits("order.modify", {}, Priority.NEW_RISK)
        if wait_until:
            return Verdict(VerdictCode.RATE_LIMIT, f"no room in the venue's limits for {wait_until - self._ctx.venue_ms} ms")
        trader.ordered(self._ctx.now_ms)
        order.amending_price, order.amending_quantity = price, quantity
        self._evidence.attempt(order, Attempt.AMEND_WANTED)
        request = ask.ModifyOrder(
            symbol=order.symbol,
            side=order.side,
            quantity=plain(quantity),
            price=plain(price),
            orig_client_order_id=order.client_order_id,
        )
        self._session.request("order.modify", ask.parameters(request), AmendOf(order, price, quantity))
        return ACCEPTED

    def cancel(self, order: Order) -> Verdict:
        """Cancels an order in whatever live state it is; allowed when nothing else is."""
        if not order.live:
            return Verdict(VerdictCode.UNKNOWN_ORDER, f"{describe(order)} has ended")
        if order.overlay is Overlay.CANCEL_SENT:
            return Verdict(VerdictCode.NO_CHANGE)
        if not self._session.ready:
            return Verdict(VerdictCode.ORDER_LINK_DOWN, "the order link is down")
        wait_until = self._session.cost_fits("order.cancel", {}, Priority.NEEDED)
        if wait_until:
            return Verdict(VerdictCode.RATE_LIMIT, f"no room in the venue's limits for {wait_until - self._ctx.venue_ms} ms")
        self._evidence.attempt(order, Attempt.CANCEL_WANTED)
        self._session.request("order.cancel", ask.parameters(_reference(order)), CancelOf(order))
        return ACCEPTED

    def perform(self, trader: Trader, operations: Iterable[Operation], origin: Origin, facts: Facts) -> Verdict:
        """Carries out planned operations, as far as they are allowed. Returns the first refusal, or that all is well."""
        worst = ACCEPTED
        for operation in operations:
            match operation:
                case CancelOrder(order):
                    verdict = self.cancel(order)
                case AmendOrder(order, price, quantity):
                    verdict = self.amend(trader, Amend(order.client_order_id, price, quantity), facts)
                case PlaceOrder(place):
                    verdict = self.place(trader, place, origin, facts)
            if worst.accepted and not verdict.accepted:
                worst = verdict
        return worst

    # -- what comes back ----------------------------------------------------------------------------------------------

    def written(self, request_id: int, timestamp_ms: int) -> None:
        """A request's bytes are with the socket: from now on its order may exist."""
        purpose = self._session.purpose_of(request_id)
        if isinstance(purpose, PlaceOf):
            purpose.order.sent_ms = timestamp_ms
            self._evidence.happen(purpose.order, Happening.WRITTEN)

    def heard(self, event: SessionEvent) -> Order | None:
        """The fate of one request. Returns the order it was about."""
        match event:
            case Answered(PlaceOf(order), _, result, error):
                self._placed(order, result, error)
            case Answered(CancelOf(order), _, result, error):
                self._cancelled(order, result, error)
            case Answered(AmendOf(order), _, result, error):
                self._amended(order, result, error)
            case Answered(QueryOf(order), _, result, error):
                self._queried(order, result, error)
            case Unanswered(PlaceOf(order), reason, written):
                happening = Happening.OUTCOME_UNKNOWN if written or order.state is OrderState.SENT else Happening.NOT_WRITTEN
                self._evidence.happen(order, happening, reason)
            case Unanswered(CancelOf(order), reason, written):
                self._evidence.attempt(order, Attempt.CANCEL_UNKNOWN if written else Attempt.NOT_WRITTEN)
            case Unanswered(AmendOf(order), reason, written):
                self._evidence.attempt(order, Attempt.AMEND_UNKNOWN if written else Attempt.NOT_WRITTEN)
            case Unanswered(QueryOf(order)):
                self._asked.discard(order.client_order_id)
            case _:
                return None
        self._watch(order)
        return order

    def _placed(self, order: Order, result: bytes | None, error: ErrorBody | None) -> None:
        if error is None:
            self._merge(order, result)
            return
        text = f"{describe_code(error.code)}: {error.msg}"
        kind = classify(error.code)
        self.clock_suspect |= kind is CodeClass.CLOCK
        if kind.definite:
            self._evidence.happen(order, Happening.REJECTED_BY_VENUE, text)
            self._ctx.log(Level.WARNING, f"rejected: {describe(order)}: {text}")
        else:
            self._evidence.happen(order, Happening.OUTCOME_UNKNOWN, text)
            self._ctx.log(Level.WARNING, f"outcome unknown: {describe(order)}: {text}")

    def _cancelled(self, order: Order, result: bytes | None, error: ErrorBody | None) -> None:
        if error is None:
            self._merge(order, result)
            return
        kind = classify(error.code)
        self.clock_suspect |= kind is CodeClass.CLOCK
        doubtful = kind is CodeClass.GONE or not kind.definite
        self._evidence.attempt(order, Attempt.CANCEL_UNKNOWN if doubtful else Attempt.CANCEL_REFUSED)

    def _amended(self, order: Order, result: bytes | None, error: ErrorBody | None) -> None:
        if error is None:
            self._evidence.attempt(order, Attempt.AMEND_DONE)
            self._merge(order, result)
            return
        kind = classify(error.code)
        self.clock_suspect |= kind is CodeClass.CLOCK
        doubtful = kind is CodeClass.GONE or not kind.definite
        self._evidence.attempt(order, Attempt.AMEND_UNKNOWN if doubtful else Attempt.AMEND_REFUSED)
        if not doubtful:
            self._ctx.log(Level.INFO, f"amendment refused: {describe(order)}: {describe_code(error.code)}")

    def _queried(self, order: Order, result: bytes | None, error: ErrorBody | None) -> None:
        self._asked.discard(order.client_order_id)
        if error is None:
            self._evidence.attempt(order, Attempt.RESOLVED)
            self._merge(order, result)
        elif classify(error.code) is CodeClass.GONE:
            self._not_found(order)

    def _merge(self, order: Order, result: bytes | None) -> None:
        """Positive evidence. One that cannot be read is none: the order's fate stays open and is asked for."""
        try:
            self._evidence.reply(order, decode(OrderReply, result or b"", self._census))
        except (DecodeError, ValueError) as error:
            self._evidence.happen(order, Happening.OUTCOME_UNKNOWN, f"unreadable answer: {error}")

    def _not_found(self, order: Order) -> None:
        """Weak evidence: counted once per `NOT_FOUND_APART_MS`, and changing nothing by itself."""
        now = self._ctx.now_ns
        if not order.not_found:
            order.not_found, order.not_found_ns = 1, now
        elif now - order.not_found_ns >= NOT_FOUND_APART_MS * NS_PER_MS:
            order.not_found += 1

    # -- orders of unknown fate ---------------------------------------------------------------------------------------

    def _watch(self, order: Order) -> None:
        """Begins or ends asking for an order, as its state demands."""
        name = order.client_order_id
        if needs_query(order):
            self._query_at_ns.setdefault(name, self._ctx.now_ns + FIRST_QUERY_MS * NS_PER_MS)
        else:
            self._query_at_ns.pop(name, None)
            self._query_pause_ms.pop(name, None)
        if order.fills_missing:
            self.fills_wanted.add(name)
        else:
            self.fills_wanted.discard(name)

    def reported(self, order: Order) -> None:
        """A report has spoken of an order: perhaps it need not be asked for any more."""
        self._watch(order)

    def suspect(self, order: Order) -> None:
        """Somebody doubts an order that should rest: ask for it now."""
        self._query_at_ns[order.client_order_id] = self._ctx.now_ns

    def ask_for_unknown(self) -> None:
        """Sends the queries that are due. Call it a few times a second."""
        if not self._session.ready:
            return
        for name, at_ns in list(self._query_at_ns.items()):
            order = self._orders.get(name)
            if order is None or not order.live:
                self._query_at_ns.pop(name, None)
            elif self._ctx.now_ns >= at_ns and name not in self._asked:
                if self._session.cost_fits("order.status", {}, Priority.NEEDED):
                    return
                self._asked.add(name)
                pause = self._query_pause_ms.get(name, FIRST_QUERY_MS)
                self._query_pause_ms[name] = min(pause * 2, LAST_QUERY_MS)
                self._query_at_ns[name] = self._ctx.now_ns + pause * NS_PER_MS
                self._session.request("order.status", ask.parameters(_reference(order)), QueryOf(order))

    def dead(self, order: Order) -> bool:
        """Whether its request can no longer be accepted, however late it arrives at the venue."""
        margin = DEAD_MARGIN_MS + self._ctx.clock.uncertainty_ms
        return order.sent_ms > 0 and self._ctx.venue_ms > order.sent_ms + self._recv_window_ms + margin

    def absent(self, order: Order) -> None:
        """The list of open orders, asked for after the order's request was dead, does not hold it.

        Together with two queries that did not find it, some seconds apart, this proves that it is not there.
        """
        if order.not_found >= 2 and self.dead(order):
            was_open = order.state.resting
            self._evidence.happen(order, Happening.PROVED_ABSENT, "not at the venue")
            what = "is no longer at the venue" if was_open else "was never accepted"
            self._ctx.log(Level.WARNING, f"resolved: {describe(order)} {what}")
            self._watch(order)


def needs_query(order: Order) -> bool:
    """Whether only the venue can say what became of the order, its cancel or its amendment."""
    if not order.live:
        return False
    in_doubt = order.overlay in (Overlay.CANCEL_UNKNOWN, Overlay.AMEND_UNKNOWN)
    return order.state is OrderState.UNKNOWN or in_doubt or order.not_found > 0


def _reference(order: Order) -> ask.OrderRef:
    return ask.OrderRef(symbol=order.symbol, orig_client_order_id=order.client_order_id)


def _place_request(order: Order, place: Place) -> ask.PlaceOrder:
    fields: dict[str, object] = {}
    if place.type is OrderType.LIMIT:
        fields["time_in_force"] = place.time_in_force
        if place.price_match is PriceMatch.NONE and place.price is not None:
            fields["price"] = plain(place.price)
        else:
            fields["price_match"] = place.price_match
    if place.time_in_force is TimeInForce.GTD and place.good_till_ms is not None:
        fields["good_till_date"] = place.good_till_ms
    if place.position_side is not PositionSide.BOTH:
        fields["position_side"] = place.position_side
    elif place.reduce_only:
        fields["reduce_only"] = True
    if place.self_trade_prevention is not None:
        fields["self_trade_prevention_mode"] = place.self_trade_prevention
    return ask.PlaceOrder(
        symbol=place.symbol,
        side=place.side,
        type=place.type,
        quantity=plain(place.quantity),
        new_client_order_id=order.client_order_id,
        **fields,  # type: ignore[arg-type]
    )
