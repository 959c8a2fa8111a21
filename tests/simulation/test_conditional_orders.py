"""A conditional order from its trigger to the end of the ordinary order it becomes, whatever of the news gets lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from coldframe import Amend, Cancel, Intent, OrderChanged, OrderFilled, OrderType, Place, Side
from coldframe.core.state.order import Order
from coldframe.exchange.faults import FaultDecision
from coldframe.model.effects import LinkKind
from coldframe.model.orders import OrderState, Overlay
from coldframe.wire.requests import Fault
from tests.simulation.ends import LOT, B, reach, stop_at, world
from tests.simulation.pump import Pump
from tests.simulation.strategies import Puppet
from tests.simulation.venue import refused

S = OrderState
PLACE, CANCEL, QUERY = "algoOrder.place", "algoOrder.cancel", "GET /fapi/v1/algoOrder"
BUY = Side.BUY
#: How far above the market the trigger lies, and where the market goes.
AWAY, BEYOND = 100, 150


def stop(pump: Pump) -> Place:
    """Trades at once when it is triggered."""
    trigger = pump.market.best(B, BUY) + AWAY
    return Place(symbol=B, side=BUY, type=OrderType.STOP_MARKET, quantity=LOT, trigger_price=trigger)


def stop_limit(pump: Pump) -> Place:
    """Rests when it is triggered, as the best bid of where the market has gone."""
    trigger = pump.market.best(B, BUY) + AWAY
    price = pump.market.best(B, BUY) + BEYOND + LOT * 10
    return Place(symbol=B, side=BUY, type=OrderType.STOP, quantity=LOT, trigger_price=trigger, price=price)


def want(pump: Pump, puppet: Puppet, wanted: Intent) -> None:
    puppet.wanted = [wanted]
    pump.until(lambda: not puppet.wanted, 5)
    pump.run(0.1)


def waiting(make: Any = stop) -> tuple[Pump, Puppet, Order]:
    """An order waits for its trigger."""
    pump, puppet = world()
    want(pump, puppet, make(pump))
    (order,) = pump.engine.orders.live
    assert (order.state, list(pump.venue.waiting_orders())) == (S.UNTRIGGERED, [order.client_order_id])
    return pump, puppet, order


def unanswered(*silent: str) -> tuple[Pump, Puppet, Order]:
    """An order is taken; no report of it comes, and the answer says late that its outcome is unknown."""
    pump, puppet = world()
    pump.run(1)
    pump.venue.fates |= dict.fromkeys(silent, refused(-2013, "Order does not exist."))
    pump.venue.fates[PLACE] = FaultDecision(hold_ms=500, instead=Fault(-1007, "Timeout"), status=408)
    pump.loses = lambda _: True
    want(pump, puppet, stop(pump))
    (order,) = pump.engine.orders.live
    assert (order.state, list(pump.venue.waiting_orders())) == (S.SUBMITTED, [order.client_order_id])
    return pump, puppet, order


def bought(quantity: Decimal) -> Place:
    return Place(symbol=B, side=BUY, quantity=quantity, type=OrderType.MARKET)


def sent(pump: Pump, what: str) -> list[dict[str, object]]:
    return [dict(params) for call, params in pump.sent if call == what]


def states(puppet: Puppet) -> list[OrderState]:
    return [event.state for event in puppet.events if isinstance(event, OrderChanged)]


def verdicts(pump: Pump) -> dict[str, int]:
    return pump.engine.runtimes.get("mm").verdicts


def test_close_position_sends_no_quantity_and_counts_the_holding() -> None:
    pump, puppet = world()
    want(pump, puppet, bought(LOT * 2))
    want(pump, puppet, stop_at(pump.market.best(B, BUY) - AWAY, LOT * 0, close_position=True, reduce_only=False))
    assert verdicts(pump) == {"ACCEPTED": 2}
    (request,) = sent(pump, PLACE)
    assert request["closePosition"] == "true"
    assert {"quantity", "reduceOnly"}.isdisjoint(request)
    (order,) = pump.engine.orders.live
    assert order.remaining == LOT * 2
    want(pump, puppet, bought(LOT))
    reach(pump, -BEYOND)
    pump.run(1)
    assert (order.quantity, order.state) == (LOT * 3, S.FILLED)
    assert pump.position("mm") == pump.venue.position(B) == 0


def test_trigger_is_reported_once_and_the_order_stays_the_same() -> None:
    pump, puppet, order = waiting(stop_limit)
    name, trigger = order.client_order_id, order.trigger_price
    assert (order.order_id, order.algo_id) == (None, pump.venue.waiting_orders()[name].algo_id)
    reach(pump, BEYOND)
    pump.run(0.1)
    ordinary = pump.venue.open_orders()[name]
    assert (order.state, order.order_id) == (S.ACCEPTED, ordinary.order_id)
    parts = [LOT * 4 / 10, LOT * 6 / 10]
    for part in parts:
        pump.market.trade(B, Side.SELL, part, ordinary.price)
        pump.run(0.1)
    pump.run(60)
    assert states(puppet) == [S.SUBMITTED, S.UNTRIGGERED, S.TRIGGERED, S.ACCEPTED, S.PARTIALLY_FILLED, S.FILLED]
    fills = [event for event in puppet.events if isinstance(event, OrderFilled)]
    assert [(event.client_order_id, event.quantity) for event in fills] == [(name, part) for part in parts]
    assert [event.trigger_price for event in puppet.events if isinstance(event, OrderChanged)] == [trigger] * 6
    assert pump.position("mm") == pump.venue.position(B) == LOT
    assert pump.engine.state.external.account.fills == 0
    assert pump.engine.state.tally.acked == pump.engine.state.tally.filled == 1
    assert sent(pump, "order.status") == []


def test_triggered_order_without_report_is_queried_as_ordinary() -> None:
    """Of all that is told of it only TRIGGERED is heard."""
    pump, puppet, order = waiting()
    pump.loses = lambda frame: b'"TRIGGERED"' not in frame
    reach(pump, BEYOND)
    pump.run(0.1)
    assert order.state is S.TRIGGERED
    pump.run(1.5)
    assert order.state is S.FILLED
    assert len(sent(pump, "order.status")) == 1
    assert [event.quantity for event in puppet.events if isinstance(event, OrderFilled)] == [LOT]


def test_trigger_missed_by_the_stream_is_found_by_reconciliation() -> None:
    pump, puppet, order = waiting()
    pump.loses = lambda _: True
    reach(pump, BEYOND)
    pump.run(0.1)
    pump.loses = lambda _: False
    assert (order.state, pump.venue.position(B)) == (S.UNTRIGGERED, LOT)
    pump.venue.cut(LinkKind.PRIVATE)
    pump.run(10)
    assert order.state is S.FILLED
    assert states(puppet)[:4] == [S.SUBMITTED, S.UNTRIGGERED, S.TRIGGERED, S.FILLED]
    assert pump.position("mm") == LOT


def test_conditional_order_cannot_be_amended() -> None:
    pump, puppet, order = waiting(stop_limit)
    amended = Amend(order.client_order_id, pump.market.best(B, BUY) - 50)
    want(pump, puppet, amended)
    reach(pump, BEYOND)
    want(pump, puppet, amended)
    assert order.state is S.ACCEPTED
    assert verdicts(pump) == {"ACCEPTED": 1, "NOT_AMENDABLE": 2}
    assert sent(pump, "order.modify") == []


def test_a_cancel_goes_to_the_method_that_knows_the_order() -> None:
    pump, puppet, order = waiting()
    want(pump, puppet, Cancel(order.client_order_id))
    assert order.state is S.CANCELED
    assert sent(pump, CANCEL) == [{"clientAlgoId": order.client_order_id}]
    want(pump, puppet, stop_limit(pump))
    (second,) = pump.engine.orders.live
    reach(pump, BEYOND)
    want(pump, puppet, Cancel(second.client_order_id))
    assert len(sent(pump, CANCEL)) == 1
    named = {"symbol": B, "orderId": second.order_id, "origClientOrderId": second.client_order_id}
    assert sent(pump, "order.cancel") == [named]
    assert second.state is S.CANCELED
    assert states(puppet)[-2:] == [S.ACCEPTED, S.CANCELED]
    assert pump.venue.waiting_orders() == pump.venue.open_orders() == {}


def test_cancel_that_meets_the_trigger_is_repeated_as_ordinary() -> None:
    """The cancel is refused with -2011: the order has gone over to the ordinary ones. No report of that comes."""
    pump, puppet, order = waiting(stop_limit)
    pump.venue.fates[CANCEL] = FaultDecision(wait_ms=500)
    want(pump, puppet, Cancel(order.client_order_id))
    assert order.overlay is Overlay.CANCEL_SENT
    pump.loses = lambda _: True
    reach(pump, BEYOND)
    pump.until(lambda: order.overlay is not Overlay.CANCEL_SENT, 1)
    assert (order.overlay, list(pump.venue.open_orders())) == (Overlay.CANCEL_UNKNOWN, [order.client_order_id])
    pump.run(3)
    assert len(sent(pump, QUERY)) == len(sent(pump, "order.cancel")) == 1
    assert (order.state, pump.venue.open_orders()) == (S.CANCELED, {})
    assert S.TRIGGERED in states(puppet)


@pytest.mark.parametrize("silent", [(), (QUERY,)], ids=["found", "forgotten"])
def test_order_triggered_while_unknown_is_followed(silent: tuple[str, ...]) -> None:
    """Also when queries for conditional orders have forgotten it: it is found as the ordinary order that it has become."""
    pump, puppet, order = unanswered(*silent)
    reach(pump, BEYOND)
    pump.until(lambda: order.state is S.UNKNOWN, 1)
    pump.run(3)
    assert order.state is S.FILLED
    assert states(puppet) == [S.SUBMITTED, S.UNKNOWN, S.TRIGGERED, S.FILLED]
    assert order.not_found == 0
    assert pump.position("mm") == pump.venue.position(B) == LOT
