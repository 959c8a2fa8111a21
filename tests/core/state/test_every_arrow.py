"""Every arrow of the order table can be caused by something: a report, an answer, a list, a proof, a person, a restart.

An arrow that no path takes tells a reader something that is not true; here each of them is taken by the machines that take it in a
run, from its state, by what the exchange (or a person, or the journal) says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import attrs
import pytest

from coldframe.core.connectivity.api_session import Answered, Unanswered
from coldframe.core.execution.absence_proof import ManualResolution
from coldframe.core.execution.algo_orders import AlgoOrders
from coldframe.core.execution.inquiry import OPERATOR_AFTER_MS
from coldframe.core.execution.purposes import PendingAmend, PendingCancel, PendingPlace, PendingQuery
from coldframe.core.state.orders import Order, Orders, Origin
from coldframe.enums import AlgoStatus, ExecutionType, OrderStatus, OrderType, Side
from coldframe.model.inputs import RequestWritten
from coldframe.model.intents import Amend
from coldframe.model.orders import OVERLAY_TABLE, TABLE, Attempt, OrderEvent, OrderState, Overlay
from coldframe.units import NS_PER_MS
from coldframe.wire.account import AlgoUpdate
from coldframe.wire.codec import encode
from coldframe.wire.replies import ErrorBody
from tests.core.made import START_MS, START_NS, SYMBOL
from tests.core.told import CALM, AtAlgo, AtVenue, Trade, place
from tests.core.trace import OrderWorld, accepted

S, H, X = OrderState, OrderEvent, ExecutionType
#: What brings an order to a state, from the state before it, by the table itself.
WAYS: Mapping[OrderState, tuple[OrderEvent, ...]] = {
    S.INITIALIZED: (),
    S.PENDING_SUBMIT: (),
    S.SUBMITTED: (H.WRITTEN,),
    S.UNTRIGGERED: (H.WRITTEN, H.SEEN_WAITING),
    S.TRIGGERED: (H.WRITTEN, H.SEEN_WAITING, H.SEEN_TRIGGERED),
    S.ACCEPTED: (H.WRITTEN, H.SEEN_NEW),
    S.PARTIALLY_FILLED: (H.WRITTEN, H.SEEN_PARTIAL),
    S.UNKNOWN: (H.WRITTEN, H.OUTCOME_UNKNOWN),
    S.NEEDS_OPERATOR: (H.WRITTEN, H.OUTCOME_UNKNOWN, H.UNPROVABLE),
    S.DENIED: (H.NOT_WRITTEN,),
    S.REJECTED: (H.WRITTEN, H.REJECTED_BY_VENUE),
    S.NEVER_ACCEPTED: (H.WRITTEN, H.OUTCOME_UNKNOWN, H.PROVED_ABSENT),
    S.FILLED: (H.WRITTEN, H.SEEN_FILLED),
    S.CANCELED: (H.WRITTEN, H.SEEN_CANCELED),
    S.EXPIRED: (H.WRITTEN, H.SEEN_EXPIRED),
}
CONDITIONAL_STATES = (S.UNTRIGGERED, S.TRIGGERED)
CONDITIONAL_EVENTS = (H.SEEN_WAITING, H.SEEN_TRIGGERED, H.REFUSED_AT_TRIGGER)
LATER_MS = START_MS + 60_000


@attrs.define
class Case:
    """One order in one state, and what may be said of it."""

    world: OrderWorld
    order: Order

    def report(self, execution: ExecutionType, status: OrderStatus, filled: str = "0") -> None:
        venue = AtVenue.of(self.order, 77, at_ms=LATER_MS)
        if Decimal(filled):
            venue.trades.append(Trade(5, filled))
        venue.status = status
        self.world.reports.step(venue.report(execution, venue.trades[0] if venue.trades else None))

    def algo(self, status: AlgoStatus, order_id: int | None = None) -> None:
        said = AtAlgo(self.order.client_order_id, 9, SYMBOL, Side.SELL, OrderType.STOP_MARKET, "1", "0", "90")
        said.status, said.order_id = status, order_id
        update = AlgoUpdate(event="ALGO_UPDATE", event_ms=LATER_MS, transaction_ms=LATER_MS, order=said.report())
        AlgoOrders(self.world.state, self.world.ctx, self.world.reports).step(update)

    def ended(self, status: OrderStatus, execution: ExecutionType, algo: AlgoStatus) -> None:
        """An end: of an order that waits for its trigger only the algo methods speak."""
        if self.order.untriggered and self.order.state is S.UNTRIGGERED:
            self.algo(algo)
        else:
            self.report(execution, status)

    def answer(self, error: ErrorBody | None) -> None:
        self.world.executor.step(Answered(PendingPlace(self.order), 400, None, error))

    def silence(self, *, written: bool) -> None:
        self.world.executor.step(Unanswered(PendingPlace(self.order), "gone", written=written))

    def write(self) -> None:
        """Its request's bytes are with the socket."""
        self.world.session.request("order.place", {}, PendingPlace(self.order))
        self.world.executor.step(RequestWritten("api.1", 1, START_MS))

    def restart(self) -> None:
        """Another run takes it over from the journal."""
        Orders(START_MS + 1).restore(self.order, (), START_NS)

    def prove_absent(self) -> None:
        """Two queries and a list have not found it, and it was dead by then; or a person has looked."""
        if self.order.state is S.NEEDS_OPERATOR:
            accepted(self.world.executor.resolve(self.order, ManualResolution.NEVER_ACCEPTED))
            return
        self.order.submitted(START_MS)
        for number in (1, 2):
            self.world.ctx.begin_step(START_NS + number * 60_000 * NS_PER_MS)
            self.world.executor.inquiry.not_found(self.order, START_MS + number * 60_000)
        self.world.executor.inquiry.absent(self.order, START_MS + 180_000, nothing_missed=True)

    def give_up(self) -> None:
        """Nothing has told its fate for ten minutes."""
        self.world.orders.doubted(self.order, START_NS)
        if self.order.state is S.TRIGGERED:
            self.world.orders.triggered(self.order, START_MS)
        self.world.ctx.begin_step(START_NS + (OPERATOR_AFTER_MS + 1_000) * NS_PER_MS)
        self.world.executor.inquiry.give_up_old()


SAYS: Mapping[OrderEvent, Callable[[Case], None]] = {
    H.ACCEPTED: lambda case: case.world.orders.add_emergency(case.order, START_NS),
    H.WRITTEN: Case.write,
    H.NOT_WRITTEN: lambda case: case.silence(written=False),
    H.RESTARTED: Case.restart,
    H.SEEN_WAITING: lambda case: case.algo(AlgoStatus.NEW),
    H.SEEN_TRIGGERED: lambda case: case.algo(AlgoStatus.TRIGGERED),
    H.REFUSED_AT_TRIGGER: lambda case: case.algo(AlgoStatus.REJECTED),
    H.SEEN_NEW: lambda case: case.report(X.NEW, OrderStatus.NEW),
    H.SEEN_PARTIAL: lambda case: case.report(X.TRADE, OrderStatus.PARTIALLY_FILLED, "0.5"),
    H.SEEN_FILLED: lambda case: case.report(X.TRADE, OrderStatus.FILLED, "1"),
    H.SEEN_CANCELED: lambda case: case.ended(OrderStatus.CANCELED, X.CANCELED, AlgoStatus.CANCELED),
    H.SEEN_EXPIRED: lambda case: case.ended(OrderStatus.EXPIRED, X.EXPIRED, AlgoStatus.EXPIRED),
    H.REJECTED_BY_VENUE: lambda case: case.answer(ErrorBody(-2019, "Margin is insufficient.")),
    H.OUTCOME_UNKNOWN: lambda case: case.silence(written=True),
    H.PROVED_ABSENT: Case.prove_absent,
    H.MISSING: lambda case: case.world.reports.missing(case.order),
    H.UNPROVABLE: Case.give_up,
}


def case_of(state: OrderState, event: OrderEvent) -> Case:
    """An order in this state, conditional where the state or the event belongs to a conditional order."""
    world = OrderWorld()
    wanted = place(Side.SELL, "1", "100")
    if state in CONDITIONAL_STATES or event in CONDITIONAL_EVENTS:
        wanted = attrs.evolve(place(Side.SELL, price=None), type=OrderType.STOP_MARKET, trigger_price=Decimal(90))
    if state is S.INITIALIZED:
        order = Order(
            "cf.mm.kill.1", "mm", SYMBOL, Side.SELL, OrderType.MARKET, wanted.time_in_force, Decimal(1), None, Origin.TARGET
        )
        return Case(world, order)
    order = world.orders.prepare("mm", wanted, Origin.PLACE, START_NS)
    for step in WAYS[state]:
        if step is H.SEEN_TRIGGERED:
            world.orders.triggered(order, START_MS)
        world.orders.apply(order, step, START_NS, at_ms=START_MS if step.name.startswith("SEEN") else 0)
    assert order.state is state
    return Case(world, order)


ARROWS = [(state, event) for state, row in TABLE.items() for event in row]


@pytest.mark.parametrize(("state", "event"), ARROWS, ids=lambda part: part._name_)
def test_an_arrow_of_the_table_is_taken(state: OrderState, event: OrderEvent) -> None:
    case = case_of(state, event)
    applied: list[OrderEvent] = []
    apply = Orders.apply

    def noted(orders: Orders, order: Order, happened: OrderEvent, *rest: object, **more: object) -> bool:
        if order.state is state:
            applied.append(happened)
        return apply(orders, order, happened, *rest, **more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Orders, "apply", noted)
        SAYS[event](case)
    assert event in applied
    if applied[0] is event:
        assert case.order.state is TABLE[state][event]


# -- cancels and amendments ---------------------------------------------------------------------------------------------

#: What brings an order that rests to an overlay.
OVERLAYS: Mapping[Overlay, tuple[Attempt, ...]] = {
    Overlay.NONE: (),
    Overlay.CANCEL_SENT: (Attempt.CANCEL_WANTED,),
    Overlay.CANCEL_UNKNOWN: (Attempt.CANCEL_WANTED, Attempt.CANCEL_UNKNOWN),
    Overlay.AMEND_SENT: (Attempt.AMEND_WANTED,),
    Overlay.AMEND_UNKNOWN: (Attempt.AMEND_WANTED, Attempt.AMEND_UNKNOWN),
}
REFUSED = ErrorBody(-2019, "Margin is insufficient.")
NEW_PRICE = Decimal("99.5")


@attrs.define
class Change:
    """One order that rests, and what may become of a cancel or an amendment of it."""

    world: OrderWorld
    order: Order
    canceling: bool

    @property
    def purpose(self) -> PendingCancel | PendingAmend:
        return PendingCancel(self.order) if self.canceling else PendingAmend(self.order, NEW_PRICE, Decimal(1))

    def answer(self, error: ErrorBody | None) -> None:
        reply = None if error else encode(AtVenue.of(self.order, 77, at_ms=LATER_MS).reply())
        self.world.executor.step(Answered(self.purpose, 400 if error else 200, reply, error))

    def silence(self, *, written: bool) -> None:
        self.world.executor.step(Unanswered(self.purpose, "gone", written=written))

    def amend(self) -> None:
        accepted(self.world.executor.amend(self.world.account, Amend(self.order.client_order_id, NEW_PRICE), CALM))

    def cancel(self) -> None:
        self.world.executor.cancel(self.order, again=True)

    def found(self) -> None:
        """A query has found it, as it was before."""
        reply = encode(AtVenue.of(self.order, 77, at_ms=LATER_MS).reply())
        self.world.executor.step(Answered(PendingQuery(self.order), 200, reply, None))


CHANGES: Mapping[Attempt, Callable[[Change], None]] = {
    Attempt.CANCEL_WANTED: Change.cancel,
    Attempt.CANCEL_REFUSED: lambda change: change.answer(REFUSED),
    Attempt.CANCEL_UNKNOWN: lambda change: change.silence(written=True),
    Attempt.AMEND_WANTED: Change.amend,
    Attempt.AMEND_DONE: lambda change: change.answer(None),
    Attempt.AMEND_REFUSED: lambda change: change.answer(REFUSED),
    Attempt.AMEND_UNKNOWN: lambda change: change.silence(written=True),
    Attempt.CANCEL_NOT_WRITTEN: lambda change: change.silence(written=False),
    Attempt.AMEND_NOT_WRITTEN: lambda change: change.silence(written=False),
    Attempt.RESOLVED: Change.found,
}
OVERLAY_ARROWS = [(overlay, attempt) for overlay, row in OVERLAY_TABLE.items() for attempt in row]


@pytest.mark.parametrize(("overlay", "attempt"), OVERLAY_ARROWS, ids=lambda part: part.name)
def test_an_arrow_of_the_overlays_is_taken(overlay: Overlay, attempt: Attempt) -> None:
    world = OrderWorld()
    order = world.stand(place(price="99"))
    for step in OVERLAYS[overlay]:
        if step is Attempt.AMEND_WANTED:
            order.amendment_requested(NEW_PRICE, Decimal(1))
        world.orders.attempt(order, step)
    assert order.overlay is overlay
    CHANGES[attempt](Change(world, order, canceling=overlay in (Overlay.CANCEL_SENT, Overlay.CANCEL_UNKNOWN)))
    assert order.overlay is OVERLAY_TABLE[overlay][attempt]


def test_every_event_can_be_said() -> None:
    assert (set(SAYS), set(WAYS)) == (set(OrderEvent), set(OrderState))
    assert (set(CHANGES), set(OVERLAYS)) == (set(Attempt), set(Overlay))
