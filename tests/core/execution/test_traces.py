"""Each machine of order execution, alone, as a trace: at a moment this comes, and that goes out."""

from __future__ import annotations

import attrs

from coldframe.core.connectivity.api_session import Answered, Unanswered
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.execution.algo_orders import AlgoOrders
from coldframe.core.execution.countdown_cancel import BeatsDue, CountdownCancel, PendingCountdown
from coldframe.core.execution.execution_reports import ExecutionReports
from coldframe.core.execution.order_executor import OrderExecutor
from coldframe.core.execution.purposes import PendingAmend, PendingCancel, PendingPlace, PendingQuery
from coldframe.core.state.orders import Order, Origin
from coldframe.enums import AlgoStatus, ExecutionType, OrderStatus, OrderType, Side
from coldframe.model.effects import AppendJournal, CallRest, Log, SendRequest
from coldframe.model.engine_events import AttemptEnded
from coldframe.model.inputs import LinkLost, RequestWritten, TimeReached
from coldframe.model.intents import Amend, VerdictCode
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderEvent, OrderState
from coldframe.testing import Playbook
from coldframe.wire.account import AlgoUpdate
from coldframe.wire.codec import encode
from coldframe.wire.replies import ErrorBody
from coldframe.wire.rest import Answer
from tests.core.made import START_MS, START_NS, SYMBOL
from tests.core.told import CALM, AtAlgo, AtVenue, D, Trade, place
from tests.core.trace import Alone, Like, OrderWorld, at, changed, context, filled, row, wake

S = OrderState
NOT_FOUND = ErrorBody(-2013, "Order does not exist.")


def request(method: str, request_id: int) -> Like:
    return Like(SendRequest, method=method, request_id=request_id)


def one_order(world: OrderWorld) -> Order:
    (order,) = world.orders.live
    return order


def test_trace_of_the_order_executor() -> None:
    world = OrderWorld()
    executor: OrderExecutor = world.executor
    wanted = place(price="99.5")
    play = Playbook(Alone(world.ctx, executor.step, "session:check"), ignore=(Log,)) >> at(0, world.place(wanted))
    play = play << request("order.place", 1) << row(RowKind.REQUEST, "1")
    order = one_order(world)
    venue = AtVenue.of(order)
    assert (
        play
        >> at(1, RequestWritten("api.1", 1, START_MS + 1))
        << changed(S.SUBMITTED)
        >> at(20, Answered(PendingPlace(order), 200, encode(venue.reply()), None))
        << changed(S.ACCEPTED)
        # It shall go.
        >> at(2_000, lambda: executor.leave(order))
        << request("order.cancel", 2)
        << row(RowKind.REQUEST, "2")
    )


def test_trace_of_an_order_of_unknown_fate() -> None:
    """No answer changes nothing but that it is asked for; that it is not found proves nothing yet."""
    world = OrderWorld()
    executor = world.executor
    play = Playbook(Alone(world.ctx, executor.step, "session:check"), ignore=(Log,)) >> at(0, world.place(place(price="99.5")))
    play = play << request("order.place", 1) << row(RowKind.REQUEST, "1")
    order = one_order(world)
    assert (
        play
        >> at(1, RequestWritten("api.1", 1, START_MS + 1))
        << changed(S.SUBMITTED)
        >> at(2_000, Unanswered(PendingPlace(order), "no answer within 2000 ms"))
        << changed(S.UNKNOWN)
        >> at(2_250, TimeReached("orders:tick"))
        >> at(2_500, TimeReached("orders:tick"))
        << request("order.status", 2)
        << row(RowKind.REQUEST, "2")
        >> at(2_520, Answered(PendingQuery(order), 400, None, NOT_FOUND))
        >> at(2_750, TimeReached("orders:tick"))
        >> at(3_000, TimeReached("orders:tick"))
        << request("order.status", 3)
        << row(RowKind.REQUEST, "3")
        >> at(3_020, Answered(PendingQuery(order), 200, encode(AtVenue.of(order).reply()), None))
        << changed(S.ACCEPTED)
        >> at(60_000, TimeReached("orders:tick"))
    )


def test_trace_of_execution_reports() -> None:
    world = OrderWorld()
    reports: ExecutionReports = world.reports
    order = world.stand(place(quantity="2", price="99.5"))
    venue = AtVenue.of(order, 77)
    first, second = Trade(1, "0.5"), Trade(2, "1.5")
    venue.trade(first)
    early, late = venue.lite(first), venue.report(ExecutionType.TRADE, first)
    venue.trade(second)
    assert (
        Playbook(Alone(world.ctx, lambda event: reports.step(event) and None), ignore=(Log,))
        # Early and without its fee: it is booked now, its fee when the full report names it.
        >> at(10, early)
        << filled("0.5", position=D("0.5"))
        << changed(S.PARTIALLY_FILLED)
        << row(RowKind.FILL, order.client_order_id)
        >> at(12, late)
        << row(RowKind.FEE, order.client_order_id)
        # Twice is once.
        >> at(13, late)
        >> at(30, venue.report(ExecutionType.TRADE, second))
        << filled("1.5", position=D(2))
        << changed(S.FILLED)
        << row(RowKind.FILL, order.client_order_id)
    )


def test_trace_of_a_conditional_order() -> None:
    world = OrderWorld()
    algos = AlgoOrders(world.state, world.ctx, world.reports)
    wanted = attrs.evolve(place(Side.SELL, price=None), type=OrderType.STOP_MARKET, trigger_price=D(90))
    order = world.orders.prepare("mm", wanted, Origin.PLACE, START_NS)

    def update(status: AlgoStatus, at_ms: int, order_id: int | None = None) -> AlgoUpdate:
        algo = AtAlgo(order.client_order_id, 5, SYMBOL, Side.SELL, OrderType.STOP_MARKET, "1", "0", "90")
        algo.status, algo.order_id = status, order_id
        return AlgoUpdate(event="ALGO_UPDATE", event_ms=START_MS, transaction_ms=START_MS + at_ms, order=algo.report())

    assert (
        Playbook(Alone(world.ctx, lambda event: algos.step(event) and None), ignore=(Log,))
        >> at(10, update(AlgoStatus.NEW, 10))
        << changed(S.UNTRIGGERED)
        >> at(500, update(AlgoStatus.TRIGGERING, 500))
        >> at(510, update(AlgoStatus.TRIGGERED, 510, order_id=77))
        << changed(S.TRIGGERED)
        # What was said before comes late.
        >> at(520, update(AlgoStatus.NEW, 10))
    )


def test_trace_of_the_countdown() -> None:
    ctx = context()
    switches = CountdownCancel(ctx, RestQueue(ctx), 20_000)
    ok = Answer(200, {}, b"{}")

    def beat(number: int, countdown_ms: int) -> CallRest:
        return CallRest(number, "POST", "/fapi/v1/countdownCancelAll", {"symbol": SYMBOL, "countdownTime": countdown_ms})

    def came(number: int, answer: Answer | None, countdown_ms: int = 20_000) -> Returned:
        return Returned(PendingCountdown(SYMBOL, countdown_ms, number), answer, "timed out", START_NS)

    assert (
        Playbook(Alone(ctx, switches.step), ignore=(Log,))
        >> at(0, BeatsDue(()))
        >> at(250, BeatsDue((SYMBOL,)))
        << beat(1, 20_000)
        >> at(280, came(1, ok))
        >> at(500, BeatsDue((SYMBOL,)))
        >> at(5_250, BeatsDue((SYMBOL,)))
        << beat(2, 20_000)
        # A beat that fails is tried again soon: less than a quarter of the countdown later.
        >> at(6_000, came(2, None))
        >> at(8_000, BeatsDue((SYMBOL,)))
        << beat(3, 20_000)
        >> at(8_030, came(3, ok))
        # No order is left: off.
        >> at(13_000, BeatsDue(()))
        << beat(4, 0)
        >> at(13_030, came(4, ok, 0))
        >> at(20_000, BeatsDue(()))
    )


# -- the parts of the order executor ------------------------------------------------------------------------------------


def test_trace_of_an_absence_proof() -> None:
    """Two queries that lie apart and a list do not find an order whose request is dead: only then it has never been."""
    world = OrderWorld()
    executor = world.executor
    order = world.orders.prepare("mm", place(price="99.5"), Origin.PLACE, START_NS)
    order.submitted(START_MS)
    world.orders.apply(order, OrderEvent.WRITTEN, START_NS)
    not_found = Answered(PendingQuery(order), 400, None, NOT_FOUND)
    assert (
        Playbook(Alone(world.ctx, executor.step, "session:check"), ignore=(Log, AppendJournal))
        >> at(2_000, Unanswered(PendingPlace(order), "no answer within 2000 ms"))
        << changed(S.UNKNOWN)
        >> at(2_500, TimeReached("orders:tick"))
        << request("order.status", 1)
        >> at(2_520, not_found)
        # The list does not hold it: it may still arrive.
        >> at(2_600, lambda: executor.inquiry.absent(order, START_MS + 2_600, nothing_missed=True))
        >> at(7_520, TimeReached("orders:tick"))
        << request("order.status", 2)
        >> at(7_540, not_found)
        >> at(60_000, TimeReached("orders:tick"))
        << request("order.status", 3)
        >> at(60_020, not_found)
        # Reports may have escaped us: the list proves nothing.
        >> at(60_100, lambda: executor.inquiry.absent(order, START_MS + 60_100, nothing_missed=False))
        >> at(60_200, lambda: executor.inquiry.absent(order, START_MS + 60_200, nothing_missed=True))
        << changed(S.NEVER_ACCEPTED)
    )


def test_trace_of_amendments_that_are_refused() -> None:
    """A refusal that holds for the order ends all amendments of it."""
    world = OrderWorld()
    executor = world.executor
    order = world.stand(place(price="99.5"))
    amend = Amend(order.client_order_id, D(99))
    too_often = ErrorBody(-5026, "Exceed maximum modify order limit.")
    codes: list[VerdictCode] = []

    def wants() -> None:
        codes.append(executor.amend(world.account, amend, CALM).code)

    assert (
        Playbook(Alone(world.ctx, executor.step, "session:check"), ignore=(Log, AppendJournal))
        >> at(0, wants)
        << request("order.modify", 1)
        >> at(20, Answered(PendingAmend(order, D(99), D(1)), 400, None, too_often))
        << AttemptEnded("mm", SYMBOL, waits=False)
        >> at(1_000, wants)
    )
    assert codes == [VerdictCode.ACCEPTED, VerdictCode.NOT_AMENDABLE]


def test_trace_of_the_two_ways_of_a_cancel() -> None:
    """By the order link while that works, by REST where it is down; whichever way it took, its answer ends in the same place."""
    world = OrderWorld()
    executor = world.executor
    first, second = world.stand(place(price="99.5")), world.stand(place(price="99"))
    canceled = AtVenue.of(second, 78)
    canceled.end(OrderStatus.CANCELED)
    assert (
        Playbook(Alone(world.ctx, executor.step, "session:check"), ignore=(Log, AppendJournal))
        >> at(0, lambda: executor.leave(first))
        << request("order.cancel", 1)
        >> at(50, lambda: world.session.step(LinkLost("api.1", "reset by peer")) and None)
        << wake("session:open", 300)
        >> at(60, lambda: executor.leave(second))
        << Like(CallRest, verb="DELETE", path="/fapi/v1/order")
        >> at(90, Returned(PendingCancel(second), Answer(200, {}, encode(canceled.reply())), "", START_NS))
        << changed(S.CANCELED)
    )
