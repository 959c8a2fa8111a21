"""The order side: from an intent that passed the gate to a request, and from what comes back to what the order has become.

An order is sent at most once; when its fate is unknown it is asked for, with growing pauses, until evidence decides. Cancels may be
repeated. What a strategy wants to be true (`Quotes`, `Target`) is compared with what is true after everything that happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, TypeVar

import attrs

from coldframe.core.asking import algo_reference, algo_request, modify_request, place_request, reference
from coldframe.core.calls import Calls, Returned
from coldframe.core.conditional import AlgoQueryOf, Conditionals
from coldframe.core.context import Context
from coldframe.core.evidence import Evidence, describe
from coldframe.core.limits import Priority
from coldframe.core.orders import Order, Orders, Origin
from coldframe.core.proof import Outcome, Proof, needs_query
from coldframe.core.quotes import AmendOrder, CancelOrder, Operation, PlaceOrder
from coldframe.core.rejects import EVERYDAY, count_reject, note_risk_mode
from coldframe.core.risk import Facts, Gate, Trader
from coldframe.core.session import Answered, Session, SessionEvent, Unanswered
from coldframe.errors import DecodeError
from coldframe.model.effects import Level
from coldframe.model.intents import ACCEPTED, Amend, Place, Verdict, VerdictCode
from coldframe.model.orders import Attempt, Happening, OrderState, Overlay
from coldframe.terms import OrderType
from coldframe.units import NS_PER_MS, NS_PER_S
from coldframe.wire import requests as ask
from coldframe.wire.codec import Census, decode
from coldframe.wire.codes import CodeClass, classify
from coldframe.wire.codes import describe as describe_code
from coldframe.wire.replies import AlgoCancelled, AlgoReply, ErrorBody, OrderReply, Reply
from coldframe.wire.rest import outcome_class

#: Pause before the first query of an order of unknown fate, doubled up to the last one (milliseconds).
FIRST_QUERY_MS: Final = 500
LAST_QUERY_MS: Final = 8_000
#: An order whose fate nobody can tell for so long needs a human being (faults.md 3).
OPERATOR_AFTER_MS: Final = 600_000
#: Pause before an order that shall go is cancelled once more, when a cancel has come to nothing.
CANCEL_AGAIN_MS: Final = 1_000
#: Fills that an answer has counted usually are on their way: pause before they are asked for, and asked for again.
FIRST_FILLS_MS: Final = 500
FILLS_AGAIN_MS: Final = 5_000

R = TypeVar("R", bound=Reply)


@attrs.frozen
class PlaceOf:
    """The purpose of an order.place."""

    order: Order


@attrs.frozen
class CancelOf:
    """The purpose of an order.cancel, or of an algoOrder.cancel (`algo`)."""

    order: Order
    algo: bool = False


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

    def __init__(
        self, ctx: Context, session: Session, calls: Calls, orders: Orders, evidence: Evidence, gate: Gate, recv_window_ms: int
    ) -> None:
        self._ctx = ctx
        self._session = session
        self._calls = calls
        self.conditionals = Conditionals(ctx, orders, evidence)
        self._orders = orders
        self._evidence = evidence
        self._gate = gate
        self.proof = Proof(ctx, recv_window_ms)
        self._census = Census()
        self._query_at_ns: dict[str, int] = {}
        self._query_pause_ms: dict[str, int] = {}
        #: When this run began: before that nobody has asked for anything.
        self.began_ns = 0
        #: Orders that have been asked for and not answered, with the venue time of the question.
        self._asked: dict[str, int] = {}
        #: By strategy and symbol, the code of the last order that was refused, until one is accepted: the same again is no news.
        self._refused: dict[tuple[str, str], int] = {}
        #: Orders that shall go, and when they may be cancelled (once more).
        self._leaving: dict[str, int] = {}
        #: Orders whose fills a query has to bring (cumulative quantity above what was booked), and when to ask.
        self._fills_at_ns: dict[str, int] = {}

    # -- sending ------------------------------------------------------------------------------------------------------

    def place(self, trader: Trader, place: Place, origin: Origin, facts: Facts) -> Verdict:
        """Sends an order if the gate and the rate limits let it pass."""
        verdict = self._gate.check(trader, place, facts)
        if not verdict.accepted:
            return verdict
        double = self._gate.double(trader, place, self._ctx.now_ms) if origin is Origin.PLACE else None
        if double is not None:
            return double
        method = "algoOrder.place" if place.type.conditional else "order.place"
        wait_until = self._session.cost_fits(method, {}, Priority.NEEDED if facts.urgent else Priority.NEW_RISK)
        if wait_until:
            return Verdict(VerdictCode.RATE_LIMIT, f"no room in the venue's limits for {wait_until - self._ctx.venue_ms} ms")
        self._gate.placed(trader, place, self._ctx.now_ms)
        self._gate.messaged(trader.id, self._ctx.now_ms)
        place = attrs.evolve(place, self_trade_prevention=self._gate.prevention(trader, place) or place.self_trade_prevention)
        held = abs(trader.account.position(place.symbol, place.position_side).quantity)
        sized = attrs.evolve(place, quantity=held) if place.close_position else place
        order = self._orders.prepare(trader.id, sized, origin, self._ctx.now_ns)
        trader.ordered(self._ctx.now_ms)
        self._evidence.tally.sent += 1
        request = algo_request(order, place) if place.type.conditional else place_request(order, place)
        self._session.request(method, ask.parameters(request), PlaceOf(order))
        return ACCEPTED

    def amend(self, trader: Trader, amend: Amend, facts: Facts) -> Verdict:
        """Changes price or quantity of a resting order if gate and limits allow what it would become."""
        order = self._orders.get(amend.client_order_id)
        if order is None or order.strategy != trader.id or not order.live:
            return Verdict(VerdictCode.UNKNOWN_ORDER, f"no live order {amend.client_order_id} of this strategy")
        if order.type.conditional:
            return Verdict(VerdictCode.NOT_AMENDABLE, f"{describe(order)} is conditional: cancel it and place another one")
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
        self._gate.messaged(trader.id, self._ctx.now_ms)
        order.amending_price, order.amending_quantity = price, quantity
        self._evidence.attempt(order, Attempt.AMEND_WANTED)
        request = modify_request(order, price, quantity)
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
        algo = order.untriggered
        method = "algoOrder.cancel" if algo else "order.cancel"
        wait_until = self._session.cost_fits(method, {}, Priority.NEEDED)
        if wait_until:
            return Verdict(VerdictCode.RATE_LIMIT, f"no room in the venue's limits for {wait_until - self._ctx.venue_ms} ms")
        self._gate.messaged(order.strategy, self._ctx.now_ms)
        order.cancel_asked = True
        self._evidence.attempt(order, Attempt.CANCEL_WANTED)
        named = algo_reference(order) if algo else reference(order)
        self._session.request(method, ask.parameters(named), CancelOf(order, algo))
        return ACCEPTED

    def leave(self, order: Order) -> None:
        """An order shall go: cancelled now, or as soon as that is possible, and again until it has ended."""
        if order.live:
            self._leaving.setdefault(order.client_order_id, self._ctx.now_ns)
            self.cancel_leaving()

    def cancel_leaving(self) -> None:
        """Cancels what shall go, as far as it can be cancelled now. Call it a few times a second."""
        now = self._ctx.now_ns
        for name, at_ns in list(self._leaving.items()):
            order = self._orders.get(name)
            if order is None or not order.live:
                del self._leaving[name]
            elif now >= at_ns and _cancellable(order, now) and self.cancel(order).accepted:
                self._leaving[name] = now + CANCEL_AGAIN_MS * NS_PER_MS

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
        if isinstance(event, Answered | Unanswered) and isinstance(event.purpose, PlaceOf):
            # Told of its fate before it was told of its writing: it was stamped by now at the latest.
            event.purpose.order.sent_ms = event.purpose.order.sent_ms or self._ctx.venue_ms
        match event:
            case Answered(PlaceOf(order), status, result, error):
                self._placed(order, result, error, status)
            case Answered(CancelOf(order, algo), status, result, error):
                self._cancelled(order, result, error, status, algo=algo)
            case Answered(AmendOf(order) as amend, status, result, error):
                self._amended(amend, result, error, status)
            case Answered(QueryOf(order), _, result, error):
                self._queried(order, result, error)
            case Unanswered(PlaceOf(order), reason, written):
                happening = Happening.OUTCOME_UNKNOWN if written or order.state is OrderState.SENT else Happening.NOT_WRITTEN
                self._evidence.happen(order, happening, reason)
                if order.state is OrderState.UNKNOWN:
                    self._ctx.log(Level.WARNING, f"outcome unknown: {describe(order)}: {reason}")
            case Unanswered(CancelOf(order), reason, written):
                self._evidence.attempt(order, Attempt.CANCEL_UNKNOWN if written else Attempt.NOT_WRITTEN)
            case Unanswered(AmendOf(order, price, quantity), reason, written):
                if order.amending(price, quantity):
                    self._evidence.attempt(order, Attempt.AMEND_UNKNOWN if written else Attempt.NOT_WRITTEN)
            case Unanswered(QueryOf(order)):
                self._asked.pop(order.client_order_id, None)
            case _:
                return None
        self._watch(order)
        return order

    def _placed(self, order: Order, result: bytes | None, error: ErrorBody | None, status: int) -> None:
        if error is None:
            if not self._told(order, result, algo=order.type.conditional):
                self._evidence.happen(order, Happening.OUTCOME_UNKNOWN, "unreadable answer")
                return
            self._refused.pop((order.strategy, order.symbol), None)
            if not order.reduce_only and self._gate.latches.mode_off(order.symbol):
                self._ctx.log(Level.INFO, f"the venue takes new risk in {order.symbol} again")
            return
        text = f"{describe_code(error.code)}: {error.msg}"
        if outcome_class(status, error).definite:
            count_reject(self._ctx, self._gate, order, error)
            self._evidence.happen(order, Happening.REJECTED_BY_VENUE, text)
            before = self._refused.get((order.strategy, order.symbol))
            self._refused[order.strategy, order.symbol] = error.code
            level = Level.INFO if before == error.code else _level_of(error)
            self._ctx.log(level, f"rejected: {describe(order)}: {text}")
        else:
            self._evidence.happen(order, Happening.OUTCOME_UNKNOWN, text)
            doubt = order.state is OrderState.UNKNOWN
            what = "outcome unknown" if doubt else "answered in doubt, known from a report"
            self._ctx.log(Level.WARNING if doubt else Level.INFO, f"{what}: {describe(order)}: {text}")

    def _told(self, order: Order, body: bytes | None, *, algo: bool) -> bool:
        """Takes in positive evidence about an order. Returns whether it could be read."""
        if algo:
            conditional = self._read(AlgoReply, body)
            if conditional is not None:
                self.conditionals.reply(order, conditional)
            return conditional is not None
        reply = self._read(OrderReply, body)
        if reply is not None:
            self._evidence.reply(order, reply)
        return reply is not None

    def _cancelled(self, order: Order, result: bytes | None, error: ErrorBody | None, status: int, *, algo: bool) -> None:
        if error is not None and not _doubtful(error, status):
            self._evidence.attempt(order, Attempt.CANCEL_REFUSED)
            self._ctx.log(_level_of(error), f"cancel refused: {describe(order)}: {describe_code(error.code)}: {error.msg}")
            return
        if error is None and algo:
            gone = self._read(AlgoCancelled, result)
            if gone is not None:
                self.conditionals.cancelled(order, gone.algo_id)
        elif error is None:
            self._told(order, result, algo=False)
        if order.live:
            self._evidence.attempt(order, Attempt.CANCEL_UNKNOWN)

    def _amended(self, amend: AmendOf, result: bytes | None, error: ErrorBody | None, status: int) -> None:
        """The answer may be overtaken by a report, and by then another amendment of the order may be on its way."""
        order = amend.order
        reply = self._read(OrderReply, result) if error is None else None
        if reply is not None:
            attempt = Attempt.AMEND_DONE
        elif error is None or _doubtful(error, status):
            attempt = Attempt.AMEND_UNKNOWN
        else:
            attempt = Attempt.AMEND_REFUSED
            note_risk_mode(self._ctx, self._gate, order, error)
            self._ctx.log(Level.INFO, f"amendment refused: {describe(order)}: {describe_code(error.code)}: {error.msg}")
        ours = order.amending(amend.price, amend.quantity)
        if reply is not None:
            # While the amendment still counts as open, so that an end that it has brought is not taken for somebody else's doing.
            self._evidence.reply(order, reply)
        if ours:
            self._evidence.attempt(order, attempt)

    def _queried(self, order: Order, result: bytes | None, error: ErrorBody | None) -> None:
        asked_ms = self._asked.pop(order.client_order_id, 0)
        reply = self._read(OrderReply, result) if error is None else None
        if reply is not None:
            self._evidence.reply(order, reply)
            self._evidence.attempt(order, Attempt.RESOLVED)
        elif error is not None and classify(error.code) is CodeClass.GONE:
            counts_ns, name = self.proof.not_found(order, asked_ms), order.client_order_id
            if order.not_found == 1 and name in self._query_at_ns:
                # The next one that counts is not waited for any longer than it must be.
                self._query_at_ns[name] = min(self._query_at_ns[name], counts_ns)

    def returned(self, event: Returned) -> bool:
        """What a REST call brought. Returns whether it asked for a conditional order."""
        if not isinstance(event.purpose, AlgoQueryOf):
            return False
        order, answer = event.purpose.order, event.answer
        self._asked.pop(order.client_order_id, None)
        reply = self._read(AlgoReply, answer.body) if answer is not None and answer.status == 200 else None
        if reply is not None:
            self._evidence.attempt(order, Attempt.RESOLVED)
            self.conditionals.reply(order, reply)
        fault = answer.fault if answer is not None else None
        if fault is not None and classify(fault.code) is CodeClass.GONE and order.untriggered:
            self._ask_beyond_trigger(order)
        self._watch(order)
        return True

    def _ask_beyond_trigger(self, order: Order) -> None:
        """The algo methods do not know the order. They may have forgotten one that has ended, and it have become an ordinary one.

        So it counts as not found only when the ordinary methods do not know it either.
        """
        if self._session.ready and not self._session.cost_fits("order.status", {}, Priority.NEEDED):
            self._asked[order.client_order_id] = self._ctx.venue_ms
            self._session.request("order.status", ask.parameters(reference(order)), QueryOf(order))

    def _read(self, kind: type[R], result: bytes | None) -> R | None:
        """Positive evidence. What cannot be read is none."""
        try:
            return decode(kind, result or b"", self._census)
        except DecodeError as error:
            self._ctx.log(Level.WARNING, f"order link: unreadable answer: {error}")
            return None

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
            self._fills_at_ns.setdefault(name, self._ctx.now_ns + FIRST_FILLS_MS * NS_PER_MS)
        else:
            self._fills_at_ns.pop(name, None)

    def missing_fills(self) -> list[Order]:
        """The orders whose fills have to be asked for now."""
        due = []
        for name, at_ns in list(self._fills_at_ns.items()):
            order = self._orders.get(name)
            if order is None or not order.fills_missing:
                del self._fills_at_ns[name]
            elif self._ctx.now_ns >= at_ns:
                self._fills_at_ns[name] = self._ctx.now_ns + FILLS_AGAIN_MS * NS_PER_MS
                due.append(order)
        return due

    def reported(self, order: Order) -> None:
        """A report has spoken of an order: perhaps it need not be asked for any more."""
        self._watch(order)

    def suspect(self, order: Order) -> None:
        """Somebody doubts an order that should rest: ask for it now."""
        order.doubted_ns = order.doubted_ns or self._ctx.now_ns
        self._query_at_ns[order.client_order_id] = self._ctx.now_ns

    def ask_for_unknown(self) -> None:
        """Sends the queries that are due. Call it a few times a second."""
        if not self._session.ready:
            return
        for name, at_ns in list(self._query_at_ns.items()):
            order = self._orders.get(name)
            if order is None or not order.live:
                self._query_at_ns.pop(name, None)
                self._query_pause_ms.pop(name, None)
            elif self._ctx.now_ns >= at_ns and name not in self._asked:
                if not self._ask(order):
                    return
                self._asked[name] = self._ctx.venue_ms
                pause = self._query_pause_ms.get(name, FIRST_QUERY_MS)
                self._query_pause_ms[name] = min(pause * 2, LAST_QUERY_MS)
                self._query_at_ns[name] = self._ctx.now_ns + self.proof.until_next_query_ms(order, pause) * NS_PER_MS

    def _ask(self, order: Order) -> bool:
        """Asks for one order. Returns whether there was room for the question."""
        if order.untriggered:
            self._calls.call("GET", "/fapi/v1/algoOrder", ask.parameters(algo_reference(order)), AlgoQueryOf(order))
        elif self._session.cost_fits("order.status", {}, Priority.NEEDED):
            return False
        else:
            self._session.request("order.status", ask.parameters(reference(order)), QueryOf(order))
        return True

    def give_up_unknown(self) -> None:
        """Says which orders need a human being; their exposure counts, and whatever the venue still says of them is heeded."""
        for order in list(self._orders.live):
            since_ns = max(order.created_ns, self.began_ns) if order.state is OrderState.UNKNOWN else order.doubted_ns
            too_long = since_ns and self._ctx.now_ns - since_ns >= OPERATOR_AFTER_MS * NS_PER_MS
            unknown = too_long and (order.state is OrderState.UNKNOWN or order.state.resting)
            since_ms = max(order.triggered_ms, self._ctx.clock.venue_ms(self.began_ns))
            lost = order.state is OrderState.TRIGGERED and self._ctx.venue_ms - since_ms >= OPERATOR_AFTER_MS
            if unknown or lost:
                self._evidence.happen(order, Happening.UNPROVABLE, "its fate could not be proved")
                self._ctx.log(Level.ERROR, f"look at the venue yourself: {describe(order)} could not be resolved")

    def resolve(self, order: Order, outcome: Outcome) -> Verdict:
        """A human being has looked at the venue and says what became of an order whose fate could not be proved."""
        if order.state is not OrderState.OPERATOR:
            return Verdict(VerdictCode.NOT_AMENDABLE, f"{describe(order)} is not for a human being to resolve")
        if outcome is Outcome.FILLED:
            order.seen_filled = order.quantity
        self._evidence.happen(order, outcome.happening, "resolved by hand")
        self._ctx.log(Level.WARNING, f"resolved by hand: {describe(order)}")
        self._watch(order)
        return ACCEPTED

    def absent(self, order: Order, asked_ms: int, *, nothing_missed: bool) -> None:
        """The list of open orders, asked for at `asked_ms`, does not hold it.

        The proof has five parts (faults.md 3): its request was dead by then; two queries some seconds apart did not find it, one of
        them after its death; it is not on the list; `nothing_missed`: no report or trade of its symbol can have escaped us, and the
        position is the sum of the fills.
        """
        if nothing_missed and self.proof.provable(order) and self.proof.dead(order, asked_ms):
            was_open = order.state not in (OrderState.UNKNOWN, OrderState.OPERATOR)
            self._evidence.happen(order, Happening.PROVED_ABSENT, "not at the venue")
            what = "is no longer at the venue" if was_open else "was never accepted"
            self._ctx.log(Level.WARNING, f"resolved: {describe(order)} {what}")
            self._watch(order)


def _cancellable(order: Order, now_ns: int) -> bool:
    """Whether a cancel would do any good: not while one is under way or in doubt, nor where it might overtake the order."""
    if order.overlay in (Overlay.CANCEL_SENT, Overlay.CANCEL_UNKNOWN):
        return False
    in_flight = order.state in (OrderState.PREPARED, OrderState.SENT)
    return not in_flight or now_ns - order.created_ns >= NS_PER_S


def _doubtful(error: ErrorBody, status: int) -> bool:
    """Whether an error leaves open what became of the order that a cancel or an amendment was for."""
    kind = outcome_class(status, error)
    return kind is CodeClass.GONE or not kind.definite


def _level_of(error: ErrorBody) -> Level:
    """Everyday outcomes are no warnings: the market moved first, or the order has already ended."""
    everyday = error.code in EVERYDAY or classify(error.code) is CodeClass.GONE
    return Level.INFO if everyday else Level.WARNING
