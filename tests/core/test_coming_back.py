"""A listed open order is alive here, external, or told as an incident; what had ended comes back on strong evidence only."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from coldframe.core.execution.absence_proof import ManualResolution
from coldframe.core.execution.inquiry import OPERATOR_AFTER_MS
from coldframe.core.reconciliation.open_orders import LAG_MS
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.reconciliation.rounds import LIGHT_ROUND_MS
from coldframe.core.state.journal_codec import fold
from coldframe.core.state.order import Order
from coldframe.enums import ExecutionType, OrderStatus
from coldframe.model.effects import Level
from coldframe.model.events import OrderChanged
from coldframe.model.intents import Cancel
from coldframe.model.orders import OrderState
from tests.core.ordering import QUERY, accept_quietly, placed, state, states
from tests.core.scripted import Actor, Scripted
from tests.core.told import AtVenue, D, place

S = OrderState
OPEN_ORDERS, ORDER, ALGOS = "/fapi/v1/openOrders", "/fapi/v1/order", "/fapi/v1/openAlgoOrders"


def listing(made: Scripted, change: Callable[[list[object]], list[object]], path: str = OPEN_ORDERS) -> None:
    """What the venue lists from now on is what `change` makes of the truth."""
    truth = made.exchange.rest

    def rest(asked: str, params: object) -> object:
        rows = truth(asked, params)  # type: ignore[arg-type]
        return change(list(rows)) if asked == path else rows  # type: ignore[call-overload]

    made.exchange.rest = rest  # type: ignore[method-assign]


def hidden(made: Scripted, ms: int, order: Order) -> None:
    """The venue hides an order from query and list for a while; it stands in the book all the time."""
    truth = made.exchange.orders
    made.exchange.orders = {name: kept for name, kept in truth.items() if name != order.client_order_id}
    made.run(ms)
    made.exchange.orders = truth | made.exchange.orders


def looked(made: Scripted) -> None:
    """A round and what follows from it."""
    made.run(LIGHT_ROUND_MS + 1_000)


def returned(made: Scripted, order: Order, before: str) -> None:
    """The order is back: told, its symbol is halted, and it is cancelled."""
    said = made.said()
    assert f"order {order.client_order_id} was {before}, and is ACCEPTED after all; it is cancelled" in said
    assert "BTCUSDT is halted: no new risk there until it is resumed" in said
    made.run(2_000)
    assert state(order) is S.CANCELED
    assert made.exchange.orders[order.client_order_id].status is OrderStatus.CANCELED
    (actor,) = (runtime.plugin for runtime in made.engine.runtimes.all)
    assert isinstance(actor, Actor)
    made.want(actor, place(quantity="2"))
    assert made.verdicts(actor)["HALTED"] == 1


# -- acknowledged, and not to be found --------------------------------------------------------------------------------


@pytest.mark.parametrize("ms", [8_000, 15_000, 40_000])
def test_o35_a_hidden_order_is_never_taken_for_ended(ms: int) -> None:
    """O35: it counts in full, needs a person, and is cancelled as soon as a list names it again."""
    made, actor, order = placed()
    made.run(LIGHT_ROUND_MS - 3_000)
    hidden(made, ms, order)
    assert state(order) is S.NEEDS_OPERATOR
    assert order.exposure == 1
    assert S.CANCELED not in states(actor)
    assert any(line.level is Level.ERROR and "neither lists nor finds it" in line.text for line in made.log)
    made.want(actor, place(quantity="2"))
    assert made.verdicts(actor)["HALTED"] == 1
    looked(made)
    assert made.exchange.orders[order.client_order_id].status is OrderStatus.CANCELED
    assert state(order) is S.CANCELED
    assert states(actor) == [S.SUBMITTED, S.ACCEPTED, S.NEEDS_OPERATOR, S.ACCEPTED, S.CANCELED]
    assert made.engine.orders.incidents == 0


@pytest.mark.parametrize("ms", [2_000, 4_000])
def test_o35_an_order_that_is_hidden_for_a_moment_goes_on(ms: int) -> None:
    made, actor, order = placed()
    made.run(LIGHT_ROUND_MS - 1_000)
    hidden(made, ms, order)
    looked(made)
    assert states(actor) == [S.SUBMITTED, S.ACCEPTED]
    assert (state(order), order.not_found) == (S.ACCEPTED, 0)


def test_o35_missing_order_is_reported_once_until_a_report_comes() -> None:
    made, _, order = placed()
    made.run(LIGHT_ROUND_MS - 3_000)
    hidden(made, 60_000, order)
    assert made.said().count("neither lists nor finds it") == 1
    made.fill(order.client_order_id, "0.4")
    assert state(order) is S.PARTIALLY_FILLED
    made.run(2_000)
    assert (state(order), order.filled) == (S.CANCELED, D("0.4"))


def test_unknown_order_the_venue_once_named_counts_as_missing() -> None:
    """A status that no table knows names it all the same."""
    made, _, order = placed("order.place")
    request = made.held.pop()
    venue = AtVenue(order.client_order_id, 77, status=OrderStatus("SOMETHING_NEW"), at_ms=made.venue_ms)
    made.reply(request, {"status": 200, "result": made.exchange._printed(venue)})  # type: ignore[arg-type]
    made.beat()
    assert (state(order), order.order_id) == (S.UNKNOWN, 77)
    made.run(20_000)
    assert state(order) is S.NEEDS_OPERATOR


def test_silence_of_ten_minutes_halts_nothing_once_it_is_over() -> None:
    """A venue that does not answer contradicts nothing: the order goes on."""
    made, actor, order = placed("order.place")
    accept_quietly(made)
    made.swallows.update((QUERY, OPEN_ORDERS))
    made.refuse(-1007)
    made.run(OPERATOR_AFTER_MS + 1_000)
    assert state(order) is S.NEEDS_OPERATOR
    made.swallows.clear()
    looked(made)
    assert state(order) is S.ACCEPTED
    assert "is halted" not in made.said()
    assert S.CANCELED not in states(actor)


# -- ended by the venue's own word ------------------------------------------------------------------------------------


def cancelled() -> tuple[Scripted, Actor, Order]:
    made, actor, order = placed()
    made.run(1_000)
    made.want(actor, Cancel(order.client_order_id))
    assert (state(order), order.ended_ms) == (S.CANCELED, made.exchange.orders[order.client_order_id].at_ms)
    return made, actor, order


@pytest.mark.parametrize("late_ms", [-1_000, 0])
def test_a_report_from_before_the_end_changes_nothing(late_ms: int) -> None:
    made, actor, order = cancelled()
    venue = attrs.evolve(made.exchange.orders[order.client_order_id], status=OrderStatus.NEW)
    venue.at_ms = order.ended_ms + late_ms
    made.exchange.report(venue, ExecutionType.NEW)
    made.beat()
    assert states(actor)[-1] == S.CANCELED
    assert made.engine.orders.incidents == 0


def test_a_report_from_after_the_end_brings_it_back() -> None:
    made, _, order = cancelled()
    venue = made.exchange.orders[order.client_order_id]
    venue.status, venue.at_ms = OrderStatus.NEW, order.ended_ms + 1
    made.exchange.report(venue, ExecutionType.NEW)
    made.beat()
    returned(made, order, "CANCELED")
    assert made.engine.orders.incidents == 1


def test_a_row_from_after_the_end_brings_it_back_at_once() -> None:
    made, _, order = cancelled()
    venue = made.exchange.orders[order.client_order_id]
    venue.status, venue.at_ms = OrderStatus.NEW, order.ended_ms + 1
    made.holds.add(ORDER)
    looked(made)
    made.holds.clear()
    assert "was CANCELED, and is ACCEPTED after all" in made.said()
    returned(made, order, "CANCELED")


def test_an_older_row_brings_it_back_when_a_query_confirms_it() -> None:
    made, _, order = cancelled()
    made.exchange.orders[order.client_order_id].status = OrderStatus.NEW
    made.holds.add(ORDER)
    looked(made)
    assert state(order) is S.CANCELED
    made.holds.clear()
    made.release()
    made.beat()
    returned(made, order, "CANCELED")


def test_a_list_that_is_wrong_is_not_believed() -> None:
    """It names an order that every query says is cancelled."""
    made, actor, order = cancelled()
    row = made.exchange._printed(attrs.evolve(made.exchange.orders[order.client_order_id], status=OrderStatus.NEW))
    listing(made, lambda rows: [*rows, row])
    for _ in range(3):
        looked(made)
    assert state(order) is S.CANCELED
    assert states(actor)[-1] == S.CANCELED
    assert "is halted" not in made.said()
    assert len(made.called(ORDER)) == 3


def test_a_list_from_just_after_the_end_proves_nothing() -> None:
    """Lists lag behind reports: a list asked for within two seconds of the end does not even raise a question."""
    made, _, order = cancelled()
    made.exchange.orders[order.client_order_id].status = OrderStatus.NEW
    assert made.engine.trading is not None
    made.run(LAG_MS - 100, alive=False)
    made.engine.trading.reconciler.begin("test", ())
    made.beat()
    made.run(500)
    assert made.called(ORDER) == []
    assert state(order) is S.CANCELED


def test_filled_order_listed_as_open_stays_filled_as_an_incident() -> None:
    made, actor, order = placed()
    made.fill(order.client_order_id, "1")
    assert state(order) is S.FILLED
    made.exchange.orders[order.client_order_id].status = OrderStatus.NEW
    looked(made)
    assert state(order) is S.FILLED
    assert made.engine.orders.incidents == 1
    assert f"the venue lists BUY 1 BTCUSDT @ 100 ({order.client_order_id}, FILLED) as open" in made.said()
    assert made.exchange.orders[order.client_order_id].status is OrderStatus.CANCELED
    made.want(actor, place(quantity="2"))
    assert made.verdicts(actor)["HALTED"] == 1


# -- ended by inference -----------------------------------------------------------------------------------------------


def given_up() -> tuple[Scripted, Actor, Order]:
    """An order that the venue has, and that was proved absent."""
    made, actor, order = placed("order.place")
    made.refuse(-1007)
    made.holds.clear()
    made.run(12_000)
    assert (state(order), order.ended_ms) == (S.NEVER_ACCEPTED, 0)
    accept_quietly(made)
    made.silent = False
    return made, actor, order


def test_o14_what_was_proved_absent_comes_back_with_its_row() -> None:
    """O14: any evidence brings it back, without a question."""
    made, _, order = given_up()
    made.holds.add(ORDER)
    looked(made)
    made.holds.clear()
    returned(made, order, "NEVER_ACCEPTED")


def test_what_a_person_has_settled_comes_back_with_its_row() -> None:
    made, _, order = placed()
    made.run(LIGHT_ROUND_MS - 3_000)
    truth, made.exchange.orders = made.exchange.orders, {}
    made.run(15_000)
    assert made.engine.trading is not None
    assert made.engine.trading.executor.resolve(order, ManualResolution.CANCELED).accepted
    assert (state(order), order.ended_ms) == (S.CANCELED, 0)
    made.exchange.orders = truth
    looked(made)
    returned(made, order, "CANCELED")


def test_the_word_of_the_venue_settles_what_a_person_has_said() -> None:
    made, _, order = placed()
    made.run(LIGHT_ROUND_MS - 3_000)
    truth, made.exchange.orders = made.exchange.orders, {}
    made.run(15_000)
    assert made.engine.trading is not None
    made.engine.trading.executor.resolve(order, ManualResolution.CANCELED)
    made.exchange.orders = truth
    venue = truth[order.client_order_id]
    venue.end(OrderStatus.CANCELED)
    made.exchange.report(venue, ExecutionType.CANCELED)
    made.beat()
    assert (state(order), order.ended_ms) == (S.CANCELED, venue.at_ms)


# -- forgotten here, and after a restart ------------------------------------------------------------------------------


def test_o36_forgotten_order_returns_when_a_query_confirms_it() -> None:
    actor = Actor()
    made = Scripted(actor, trading=OrderSideLimits(ended_orders=3)).ready()
    made.want(actor, place(price="98"))
    (first,) = made.engine.orders.live
    made.want(actor, Cancel(first.client_order_id))
    for _ in range(5):
        made.want(actor, place())
        (other,) = made.engine.orders.live
        made.want(actor, Cancel(other.client_order_id))
    assert made.engine.orders.get(first.client_order_id) is None
    made.exchange.orders[first.client_order_id].status = OrderStatus.NEW
    made.holds.add(ORDER)
    looked(made)
    assert list(made.engine.orders.live) == []
    assert "of no strategy" not in made.said()
    made.holds.clear()
    made.release()
    made.beat()
    (order,) = made.engine.orders.live
    assert (order.client_order_id, order.strategy) == (first.client_order_id, "mm")
    assert "had ended long ago, and is open after all; it is cancelled" in made.said()
    made.run(2_000)
    assert made.exchange.orders[first.client_order_id].status is OrderStatus.CANCELED
    assert actor.told(OrderChanged)[-1].state == S.CANCELED


def test_list_row_of_a_forgotten_ended_order_is_ignored() -> None:
    actor = Actor()
    made = Scripted(actor, trading=OrderSideLimits(ended_orders=3)).ready()
    for _ in range(5):
        made.want(actor, place())
        (order,) = made.engine.orders.live
        made.want(actor, Cancel(order.client_order_id))
    venue = next(iter(made.exchange.orders.values()))
    assert made.engine.orders.get(venue.client_order_id) is None
    row = made.exchange._printed(attrs.evolve(venue, status=OrderStatus.NEW))
    listing(made, lambda rows: [*rows, row])
    looked(made)
    assert list(made.engine.orders.live) == []
    assert "is halted" not in made.said()
    assert "1 of no strategy" not in made.said()


@pytest.mark.parametrize("confirmed", [True, False])
def test_how_an_order_ended_outlives_a_restart(confirmed: bool) -> None:
    made, actor, order = cancelled()
    past = fold(made.rows)
    assert past.orders[order.client_order_id].ended_ms == order.ended_ms
    venue = made.exchange.orders[order.client_order_id]
    row = made.exchange._printed(attrs.evolve(venue, status=OrderStatus.NEW))
    if confirmed:
        venue.status = OrderStatus.NEW
    else:
        listing(made, lambda rows: [*rows, row])
    again = made.restarted(actor, past=past)
    again.run(LIGHT_ROUND_MS + 3_000)
    known = again.engine.orders.get(order.client_order_id)
    assert known is not None
    assert ("is ACCEPTED after all" in again.said()) is confirmed
    assert known.state is S.CANCELED
    assert venue.status is OrderStatus.CANCELED
