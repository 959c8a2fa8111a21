"""The order side: from an intent that passed pre-trade risk to a request, and from what comes back to what the order has become.

An order is sent at most once; when its fate is unknown it is asked for, with growing pauses, until evidence decides. Cancels may be
repeated. What a strategy wants to be true (`Quotes`, `Target`) is compared with what is true after everything that happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar, assert_never

import attrs

from coldframe.core.connectivity.api_session import Answered, Session, Unanswered
from coldframe.core.connectivity.rate_limits import Priority
from coldframe.core.connectivity.request_ways import RequestWays, as_event
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.connectivity.user_stream import UserStream
from coldframe.core.execution.absence_proof import AbsenceProof, ManualResolution
from coldframe.core.execution.algo_orders import AlgoOrders, PendingAlgoQuery
from coldframe.core.execution.amending import Amending
from coldframe.core.execution.closing_room import ClosingRoom
from coldframe.core.execution.execution_reports import ExecutionReports, describe
from coldframe.core.execution.inquiry import Inquiry
from coldframe.core.execution.operations import AmendOperation, CancelOperation, Operation, PlaceOperation
from coldframe.core.execution.order_requests import algo_reference, algo_request, modify_request, place_request, reference
from coldframe.core.execution.purposes import PendingAmend, PendingCancel, PendingPlace, PendingQuery
from coldframe.core.execution.rejects import EVERYDAY, count_reject, note_refusal
from coldframe.core.risk.pre_trade import RiskInputs, as_sent, check, duplicate
from coldframe.core.risk.reducing import reduces
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.order import LateTerms
from coldframe.core.state.orders import Order, Origin
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.enums import OrderType
from coldframe.errors import DecodeError
from coldframe.model.effects import Level
from coldframe.model.inputs import RequestWritten, TimeReached
from coldframe.model.intents import ACCEPTED, Amend, Place, Verdict, VerdictCode
from coldframe.model.orders import Attempt, OrderEvent, OrderState, Overlay
from coldframe.units import NS_PER_MS, NS_PER_S
from coldframe.wire import requests as ask
from coldframe.wire.codec import Census, decode
from coldframe.wire.codes import CodeClass, classify
from coldframe.wire.codes import describe as describe_code
from coldframe.wire.replies import AlgoCancelled, AlgoReply, ErrorBody, OrderReply, Reply
from coldframe.wire.rest import Answer, outcome_class

#: Pause before an order that shall go is cancelled once more, when a cancel has come to nothing.
CANCEL_AGAIN_MS: Final = 1_000
#: Pause before a cancel is repeated while it is in doubt: until then the query that was made has had its time.
DOUBT_AGAIN_MS: Final = 5_000

#: What a request about an order was sent for.
OrderPurpose = PendingPlace | PendingCancel | PendingAmend | PendingQuery | PendingAlgoQuery

R = TypeVar("R", bound=Reply)


class OrderExecutor:
    """Sends orders, cancels and amendments, and follows each of them until it is known what became of it."""

    def __init__(
        self,
        state: EngineState,
        ctx: StepContext,
        session: Session,
        ways: RequestWays,
        user_stream: UserStream,
        calls: RestQueue,
        reports: ExecutionReports,
        recv_window_ms: int,
    ) -> None:
        self._state = state
        self._ctx = ctx
        self._session = session
        self.conditionals = AlgoOrders(state, ctx, reports)
        self.amending = Amending(ctx)
        self._room = ClosingRoom(state)
        self._orders = state.orders
        self._reports = reports
        self.proof = AbsenceProof(state.orders, ctx, recv_window_ms)
        self.ways = ways
        self._user_stream = user_stream
        self.inquiry = Inquiry(state, ctx, self.ways, calls, reports, self.proof)
        self._census = Census()
        #: By strategy and symbol, the code of the last refusal until an order is accepted: the same code again is not told.
        self._refused: dict[tuple[str, str], int] = {}
        #: Orders that shall go.
        self._leaving: dict[str, None] = {}

    # -- sending ------------------------------------------------------------------------------------------------------

    def place(self, account: StrategyAccount, place: Place, origin: Origin, facts: RiskInputs) -> Verdict:
        """Sends an order if pre-trade risk and the rate limits let it pass."""
        verdict = check(self._state, account, place, facts)
        if not verdict.accepted:
            return verdict
        double = duplicate(self._state, account, place, self._ctx.now_ms) if origin is Origin.PLACE else None
        if double is not None:
            return double
        method = "algoOrder.place" if place.type.conditional else "order.place"
        wait_until = self._session.cost_fits(method, {}, Priority.NEEDED if facts.urgent else Priority.NEW_RISK)
        if wait_until:
            return Verdict(VerdictCode.RATE_LIMIT, f"no room in the venue's limits for {wait_until - self._ctx.venue_ms} ms")
        self._state.order_sent(account, place, self._ctx.now_ms, adds_risk=not reduces(self._state, account, place))
        self._state.message_sent(account.id, self._ctx.now_ms)
        place = as_sent(self._state, account, place)
        held = abs(account.holdings.position(place.symbol, place.position_side).quantity)
        sized = attrs.evolve(place, quantity=held) if place.close_position else place
        order = self._orders.prepare(account.id, sized, origin, self._ctx.now_ns, reported=self._user_stream.up)
        account.ordered(self._ctx.now_ms)
        self._state.tally.order_sent()
        request = algo_request(order, place) if place.type.conditional else place_request(order, place)
        self._session.request(method, ask.parameters(request), PendingPlace(order))
        return ACCEPTED

    def amend(self, account: StrategyAccount, amend: Amend, facts: RiskInputs) -> Verdict:
        """Changes price or quantity of a resting order if pre-trade risk and limits allow what it would become."""
        order = self._orders.get(amend.client_order_id)
        if order is None or order.strategy != account.id or not order.live:
            return Verdict(VerdictCode.UNKNOWN_ORDER, f"no live order {amend.client_order_id} of this strategy")
        if order.type.conditional:
            return Verdict(VerdictCode.NOT_AMENDABLE, f"{describe(order)} is conditional: cancel it and place another one")
        if order.type is not OrderType.LIMIT or not order.confirmed or order.price is None:
            return Verdict(VerdictCode.NOT_AMENDABLE, f"{describe(order)} cannot be amended now")
        why_not = self.amending.why_not(order)
        if why_not:
            return Verdict(VerdictCode.NOT_AMENDABLE, f"{describe(order)}: {why_not}: cancel it and place another one")
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
        verdict = check(self._state, account, become, facts, replaces=(order,))
        if not verdict.accepted:
            return verdict
        wait_until = self._session.cost_fits("order.modify", {}, Priority.NEW_RISK)
        if wait_until:
            return Verdict(VerdictCode.RATE_LIMIT, f"no room in the venue's limits for {wait_until - self._ctx.venue_ms} ms")
        account.ordered(self._ctx.now_ms)
        self._state.message_sent(account.id, self._ctx.now_ms)
        self._orders.amendment_requested(order, price, quantity, self._ctx.venue_ms)
        self._reports.attempt(order, Attempt.AMEND_WANTED)
        request = modify_request(order, price, quantity)
        self._session.request("order.modify", ask.parameters(request), PendingAmend(order, price, quantity))
        return ACCEPTED

    def cancel(self, order: Order, *, again: bool = False) -> Verdict:
        """Cancels an order in whatever live state it is; allowed when nothing else is.

        With `again`, a cancel whose answer is overdue goes once more, by the other way.
        """
        if not order.live:
            return Verdict(VerdictCode.UNKNOWN_ORDER, f"{describe(order)} has ended")
        overdue = order.overlay is Overlay.CANCEL_SENT
        if overdue and not again:
            return Verdict(VerdictCode.NO_CHANGE)
        algo = order.untriggered
        method, named = ("algoOrder.cancel", algo_reference(order)) if algo else ("order.cancel", reference(order))
        wait_until = self.ways.send(method, ask.parameters(named), PendingCancel(order, algo), by_rest=overdue)
        if wait_until:
            return Verdict(VerdictCode.RATE_LIMIT, f"no room in the venue's limits for {wait_until - self._ctx.venue_ms} ms")
        self._state.message_sent(order.strategy, self._ctx.now_ms)
        order.cancel_requested(self._ctx.now_ns)
        self._reports.attempt(order, Attempt.CANCEL_WANTED)
        return ACCEPTED

    def leave(self, order: Order) -> None:
        """An order shall go: cancelled now, or as soon as that is possible, and again until it has ended."""
        if order.live:
            self.depart(order.client_order_id)
            self.cancel_leaving()

    def depart(self, client_order_id: str) -> None:
        """An order shall go, beginning with the next look at what is due."""
        self._leaving[client_order_id] = None

    @property
    def busy(self) -> bool:
        """Whether any order has to be asked for, or has to be cancelled yet."""
        return bool(self._leaving) or self.inquiry.busy

    def departs(self, order: Order) -> bool:
        """Whether an order is on its way out by `depart`."""
        return order.client_order_id in self._leaving

    def cancel_leaving(self) -> None:
        """Cancels what shall go, as far as it can be cancelled now. Call it a few times a second."""
        for name in list(self._leaving):
            order = self._orders.get(name)
            if order is None or not order.live:
                del self._leaving[name]
            elif _cancellable(order, self._ctx.now_ns):
                self.cancel(order, again=True)

    def perform(self, account: StrategyAccount, operations: Iterable[Operation], origin: Origin, facts: RiskInputs) -> Verdict:
        """Carries out planned operations, as far as they are allowed. Returns the first refusal, or that all is well.

        That there is no room to close comes last: it waits for something else than the others.
        """
        worst = ACCEPTED
        for operation in operations:
            match operation:
                case CancelOperation(order):
                    verdict = self.cancel(order)
                case AmendOperation(order, price, quantity):
                    no_room = self._room.against_growth(order, price, quantity)
                    verdict = no_room or self.amend(account, Amend(order.client_order_id, price, quantity), facts)
                case PlaceOperation(place):
                    no_room = self._room.against_place(as_sent(self._state, account, place))
                    verdict = no_room or self.place(account, place, origin, facts)
                case unknown:
                    assert_never(unknown)
            if not verdict.accepted and (worst.accepted or worst.code is VerdictCode.NO_ROOM):
                worst = verdict
        return worst

    # -- what comes back ----------------------------------------------------------------------------------------------

    def step(self, event: RequestWritten | Answered | Unanswered | Returned | TimeReached) -> None:
        """Takes in that a request's bytes are with the socket, the fate of one, by whichever way it went, or that it is time to
        look at what is due (`orders:tick`).
        """
        match event:
            case RequestWritten():
                self._written(event)
            case TimeReached():
                self.inquiry.ask_due()
                self.cancel_leaving()
                self.inquiry.give_up_old()
                self._forget_late()
            case Answered() | Unanswered() | Returned():
                self._take_back(event)
            case unknown:
                assert_never(unknown)

    def _take_back(self, event: Answered | Unanswered | Returned) -> None:
        """Follows what came back about an order, as the order is known now: an ended one may have been taken in anew meanwhile.

        What comes back about one that has been forgotten says nothing new: only what is settled is forgotten.
        """
        purpose = event.purpose
        if isinstance(purpose, OrderPurpose):
            known = self._orders.get(purpose.order.client_order_id)
            if known is None:
                self.inquiry.answered(purpose.order)
                return
            if known is not purpose.order:
                event = attrs.evolve(event, purpose=attrs.evolve(purpose, order=known))
        if isinstance(event, Returned) and isinstance(event.purpose, PendingAlgoQuery):
            self._algo_queried(event.purpose.order, event.answer)
        else:
            self._follow_answer(as_event(event))

    def _written(self, event: RequestWritten) -> None:
        """From now on its order may exist."""
        purpose = self._session.purpose_of(event.request_id)
        if isinstance(purpose, PendingPlace):
            purpose.order.submitted(event.timestamp_ms)
            self._reports.apply(purpose.order, OrderEvent.WRITTEN)

    def _follow_answer(self, event: Answered | Unanswered) -> None:
        if isinstance(event.purpose, PendingPlace):
            # Told of its fate before it was told of its writing: it was stamped by now at the latest.
            event.purpose.order.submitted(event.purpose.order.sent_ms or self._ctx.venue_ms)
        match event:
            case Answered(PendingPlace(order), status, result, error):
                self._placed(order, result, error, status)
            case Answered(PendingCancel(order, algo), status, result, error):
                self._cancelled(order, result, error, status, algo=algo)
            case Answered(PendingAmend(order) as amend, status, result, error):
                self._amended(amend, result, error, status)
            case Answered(PendingQuery(order), _, result, error):
                self._queried(order, result, error)
            case Unanswered(PendingPlace(order), reason, written):
                outcome = OrderEvent.OUTCOME_UNKNOWN if written or order.state is OrderState.SUBMITTED else OrderEvent.NOT_WRITTEN
                self._reports.apply(order, outcome, reason)
                if order.state is OrderState.UNKNOWN:
                    self._ctx.log(Level.WARNING, f"outcome unknown: {describe(order)}: {reason}")
            case Unanswered(PendingCancel(order), reason, written):
                self._reports.attempt(order, Attempt.CANCEL_UNKNOWN if written else Attempt.CANCEL_NOT_WRITTEN)
            case Unanswered(PendingAmend(order, price, quantity), reason, written):
                if order.amending(price, quantity):
                    self._reports.attempt(order, Attempt.AMEND_UNKNOWN if written else Attempt.AMEND_NOT_WRITTEN)
            case Unanswered(PendingQuery(order)):
                self.inquiry.answered(order)
            case _:  # an answer to another machine's request
                return
        self.inquiry.watch(order)

    def _placed(self, order: Order, result: bytes | None, error: ErrorBody | None, status: int) -> None:
        if error is None:
            if not self._apply_reply(order, result, algo=order.type.conditional):
                self._reports.apply(order, OrderEvent.OUTCOME_UNKNOWN, "unreadable answer")
                return
            self._refused.pop((order.strategy, order.symbol), None)
            if not order.closing and self._state.trading.mode_off(order.symbol):
                self._ctx.log(Level.INFO, f"the venue takes new risk in {order.symbol} again")
            return
        text = f"{describe_code(error.code)}: {error.msg}"
        if outcome_class(status, error).definite:
            count_reject(self._state, self._ctx, order, error)
            self._room.refused(order, error.code)
            self._reports.apply(order, OrderEvent.REJECTED_BY_VENUE, text)
            before = self._refused.get((order.strategy, order.symbol))
            self._refused[order.strategy, order.symbol] = error.code
            level = Level.INFO if before == error.code else _level_of(error)
            self._ctx.log(level, f"rejected: {describe(order)}: {text}")
        else:
            self._reports.apply(order, OrderEvent.OUTCOME_UNKNOWN, text)
            doubt = order.state is OrderState.UNKNOWN
            what = "outcome unknown" if doubt else "answered in doubt, known from a report"
            self._ctx.log(Level.WARNING if doubt else Level.INFO, f"{what}: {describe(order)}: {text}")

    def _apply_reply(self, order: Order, body: bytes | None, *, algo: bool) -> bool:
        """Takes in positive evidence about an order. Returns whether it could be read."""
        if algo:
            conditional = self._read(AlgoReply, body)
            if conditional is not None:
                self.conditionals.reply(order, conditional)
            return conditional is not None
        reply = self._read(OrderReply, body)
        if reply is not None:
            self._reports.reply(order, reply)
        return reply is not None

    def _cancelled(self, order: Order, result: bytes | None, error: ErrorBody | None, status: int, *, algo: bool) -> None:
        if error is not None and not _doubtful(error, status):
            self._reports.attempt(order, Attempt.CANCEL_REFUSED)
            self._ctx.log(_level_of(error), f"cancel refused: {describe(order)}: {describe_code(error.code)}: {error.msg}")
            return
        if error is None and algo:
            gone = self._read(AlgoCancelled, result)
            if gone is not None:
                self.conditionals.cancelled(order, gone.algo_id)
        elif error is None:
            self._apply_reply(order, result, algo=False)
        if order.live:
            self._reports.attempt(order, Attempt.CANCEL_UNKNOWN)

    def _amended(self, amend: PendingAmend, result: bytes | None, error: ErrorBody | None, status: int) -> None:
        """The answer may be overtaken by a report, and by then another amendment of the order may be on its way."""
        order = amend.order
        reply = self._read(OrderReply, result) if error is None else None
        if reply is not None:
            attempt = Attempt.AMEND_DONE
        elif error is None or _doubtful(error, status):
            attempt = Attempt.AMEND_UNKNOWN
        else:
            attempt = Attempt.AMEND_REFUSED
            note_refusal(self._state, self._ctx, order, error)
            self._ctx.log(Level.INFO, f"amendment refused: {describe(order)}: {describe_code(error.code)}: {error.msg}")
        ours = order.amending(amend.price, amend.quantity)
        if reply is not None:
            # While the amendment still counts as open, so that an end that it has brought is not taken for an external cancel.
            self.amending.accepted(order)
            self._reports.reply(order, reply)
        if ours:
            self._settle_amendment(order, attempt, error)

    def _settle_amendment(self, order: Order, attempt: Attempt, error: ErrorBody | None) -> None:
        """The amendment that is open has come to an end. A stale order waits for nothing."""
        for_good = False
        if attempt is Attempt.AMEND_REFUSED and error is not None:
            for_good = self.amending.failed(order, error.code)
            self._room.refused(order, error.code)
            if classify(error.code) is CodeClass.ALREADY_SO:  # then it is not what it is believed to be
                self.inquiry.suspect(order)
        self._reports.attempt(order, attempt, waits=False if for_good else None)

    def _queried(self, order: Order, result: bytes | None, error: ErrorBody | None) -> None:
        asked_ms = self.inquiry.answered(order)
        reply = self._read(OrderReply, result) if error is None else None
        if reply is not None:
            self._resolved(order, reply, asked_ms)
        elif error is not None and classify(error.code) is CodeClass.GONE:
            self.inquiry.not_found(order, asked_ms)

    def _resolved(self, order: Order, reply: OrderReply, asked_ms: int) -> None:
        """A query, made at `asked_ms`, has found an order: what was in doubt about it is known.

        An amendment that was not made has failed. Until its request is dead it may arrive all the same, and counts.
        """
        unknown = order.amending_quantity is not None and order.overlay in (Overlay.AMEND_UNKNOWN, Overlay.CANCEL_UNKNOWN)
        asked = (order.amending_price, order.amending_quantity) if unknown else None
        self._reports.reply(order, reply)
        failed = asked is not None and order.live and asked != (order.price, order.quantity)
        if failed:
            self._note_late(order, asked_ms)
            self.amending.failed(order, 0)
        self._reports.attempt(order, Attempt.RESOLVED, waits=failed)

    def _note_late(self, order: Order, asked_ms: int) -> None:
        """The venue has not made the amendment that is open, as it said at `asked_ms`: it may be on its way."""
        price, quantity, until_ms = order.amending_price, order.amending_quantity, self.proof.amendment_dead_ms(order)
        if price is not None and quantity is not None and asked_ms <= until_ms:
            self._orders.terms_may_come(order, LateTerms(price, quantity, until_ms))

    def _forget_late(self) -> None:
        """What can no longer arrive counts no longer."""
        for order in list(self._orders.late):
            if order.late is not None and self._ctx.venue_ms > order.late.until_ms:
                self._orders.terms_may_come(order, None)

    def _algo_queried(self, order: Order, answer: Answer | None) -> None:
        self.inquiry.answered(order)
        reply = self._read(AlgoReply, answer.body) if answer is not None and answer.status == 200 else None
        if reply is not None:
            self._reports.attempt(order, Attempt.RESOLVED)
            self.conditionals.reply(order, reply)
        fault = answer.fault if answer is not None else None
        if fault is not None and classify(fault.code) is CodeClass.GONE and order.untriggered:
            self.inquiry.ask_beyond_trigger(order)
        self.inquiry.watch(order)

    # -- the fate of an order -----------------------------------------------------------------------------------------

    def reported(self, order: Order) -> None:
        """Something else than an answer has spoken of an order: perhaps it need not be asked for any more."""
        self.inquiry.watch(order)

    def resolve(self, order: Order, outcome: ManualResolution) -> Verdict:
        """A person says what became of an order whose fate could not be proved."""
        return self.inquiry.resolve(order, outcome)

    def _read(self, kind: type[R], result: bytes | None) -> R | None:
        """Positive evidence. What cannot be read does not count."""
        try:
            return decode(kind, result or b"", self._census)
        except DecodeError as error:
            self._ctx.log(Level.WARNING, f"order link: unreadable answer: {error}")
            return None


def _cancellable(order: Order, now_ns: int) -> bool:
    """Whether a cancel would do any good: not where it might overtake the order, nor just after another one."""
    if order.state in (OrderState.PENDING_SUBMIT, OrderState.SUBMITTED) and now_ns - order.created_ns < NS_PER_S:
        return False
    pause_ms = DOUBT_AGAIN_MS if order.overlay is Overlay.CANCEL_UNKNOWN else CANCEL_AGAIN_MS
    return not order.cancel_sent_ns or now_ns - order.cancel_sent_ns >= pause_ms * NS_PER_MS


def _doubtful(error: ErrorBody, status: int) -> bool:
    """Whether an error leaves open what became of the order that a cancel or an amendment was for."""
    kind = outcome_class(status, error)
    return kind is CodeClass.GONE or not kind.definite


def _level_of(error: ErrorBody) -> Level:
    """Everyday outcomes are not warnings: the market moved first, or the order has already ended."""
    everyday = error.code in EVERYDAY or classify(error.code) is CodeClass.GONE
    return Level.INFO if everyday else Level.WARNING
