"""What comes back about an order that ended so long ago that it is not remembered any more: nothing is made of it twice."""

from __future__ import annotations

import attrs
import pytest

from coldframe.core.connectivity.api_session import Answered, Unanswered
from coldframe.core.connectivity.rest_queue import Returned
from coldframe.core.execution.algo_orders import PendingAlgoQuery
from coldframe.core.execution.order_executor import OrderPurpose
from coldframe.core.execution.purposes import PendingAmend, PendingCancel, PendingPlace, PendingQuery
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.order import Order
from coldframe.model.intents import Cancel
from coldframe.model.orders import OrderState
from coldframe.wire.codec import encode
from tests.core.told import AtVenue
from tests.simulation.ends import LOT, bid, world
from tests.simulation.orderworlds import lived
from tests.simulation.pump import Pump

PURPOSES = {
    "place": PendingPlace,
    "cancel": PendingCancel,
    "amend": lambda order: PendingAmend(order, order.price, LOT),
    "query": PendingQuery,
    "algo query": PendingAlgoQuery,
}


def forgotten() -> tuple[Pump, Order]:
    """A bot that remembers one ended order, and the first of three that have ended."""
    pump, puppet = world(trading=OrderSideLimits(ended_orders=1))
    orders = []
    for _ in range(3):
        puppet.wanted = [bid(pump)]
        pump.until(lambda: any(order.state is OrderState.ACCEPTED for order in pump.engine.orders.live))
        (order,) = pump.engine.orders.live
        orders.append(order)
        puppet.wanted = [Cancel(order.client_order_id)]
        pump.until(lambda: not list(pump.engine.orders.live))
        pump.run(1)
    assert pump.engine.orders.get(orders[0].client_order_id) is None
    return pump, orders[0]


def answers(purpose: OrderPurpose) -> list[Answered | Unanswered | Returned]:
    """All that may come back: that it stands as it was, that no answer comes, and the latter by REST."""
    reply = encode(AtVenue.of(purpose.order).reply())
    return [Answered(purpose, 200, reply, None), Unanswered(purpose, "no answer"), Returned(purpose, None, "no answer", 0)]


@pytest.mark.parametrize("asked", PURPOSES)
def test_an_answer_about_a_forgotten_order_changes_nothing(asked: str) -> None:
    pump, order = forgotten()
    before = attrs.evolve(order)
    for answer in answers(PURPOSES[asked](order)):
        pump.engine.trading.executor.step(answer)
        assert pump.engine.orders.take_changed() == {}
        assert pump.engine.orders.get(order.client_order_id) is None
    assert attrs.asdict(order) == attrs.asdict(before)
    assert not pump.engine.trading.executor.inquiry.busy


@pytest.mark.parametrize("asked", PURPOSES)
def test_an_answer_is_about_the_order_that_is_known_now(asked: str) -> None:
    """A report has brought it back: there is a second one of the same name, and the journal holds that one."""
    pump, order = forgotten()
    anew = pump.engine.orders.adopt(attrs.evolve(order), pump.now_ns)
    created_ns = anew.created_ns
    assert created_ns > order.created_ns
    for answer in answers(PURPOSES[asked](order)):
        pump.engine.trading.executor.step(answer)
        changed = pump.engine.orders.take_changed()
        assert all(known is anew for known in changed.values())
    assert order.created_ns < created_ns == anew.created_ns


def test_a_late_answer_and_a_report_in_one_world() -> None:
    """An amendment answered after its order had been cancelled, forgotten, and brought back by the report of its cancel."""
    assert not lived(814_127).violations
