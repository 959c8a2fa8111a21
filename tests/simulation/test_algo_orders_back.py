"""A conditional order that was hidden, or had ended, is listed again: what is believed of that, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import msgspec
import pytest

from coldframe import Cancel
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.reconciliation.rounds import LIGHT_ROUND_MS
from coldframe.core.state.order import Order
from coldframe.enums import AlgoStatus
from coldframe.exchange.endpoints.rest import RestAnswer, RestRequest
from coldframe.model.orders import OrderState
from tests.simulation.ends import B, world
from tests.simulation.pump import Pump
from tests.simulation.strategies import Puppet
from tests.simulation.test_algo_orders import LIST, STOP, unknown, waiting
from tests.simulation.test_conditional_orders import states, want

S = OrderState
ROUND_S = LIGHT_ROUND_MS / 1_000


def look(pump: Pump) -> None:
    """A round and what follows from it."""
    pump.run(ROUND_S + 3)


def reopen(pump: Pump, name: str) -> None:
    """The exchange says that the order waits after all."""
    books = pump.venue.books()
    (algo,) = [algo for algo in books.algos.values() if algo.client_id == name]
    algo.status = AlgoStatus.NEW
    books.open_algos[algo.algo_id] = algo


def list_also(pump: Pump, row: dict[str, Any]) -> None:
    """Whatever is true, the list of conditional orders names this one, too."""
    truth: Callable[[RestRequest], RestAnswer] = pump.venue._requests.answer

    def answer(request: RestRequest) -> RestAnswer:
        told = truth(request)
        return (
            attrs.evolve(told, body=msgspec.json.encode([*msgspec.json.decode(told.body), row])) if request.call == LIST else told
        )

    pump.venue._requests.answer = answer  # type: ignore[method-assign]


def cancelled() -> tuple[Pump, Puppet, Order]:
    pump, puppet, order = waiting()
    want(pump, puppet, Cancel(order.client_order_id))
    assert (order.state, pump.venue.waiting_orders()) == (S.CANCELED, {})
    return pump, puppet, order


@pytest.mark.parametrize("hidden_s", [8, 40])
def test_o35_a_hidden_conditional_order_is_never_taken_for_ended(hidden_s: int) -> None:
    pump, puppet, order = waiting()
    pump.run(ROUND_S - 2.5)
    pump.venue.faults._hidden[order.client_order_id] = (pump.now_ms, pump.now_ms + hidden_s * 1_000)
    pump.run(hidden_s)
    assert order.state is S.NEEDS_OPERATOR
    assert list(pump.venue.waiting_orders()) == [order.client_order_id]
    look(pump)
    assert pump.venue.waiting_orders() == {}
    assert states(puppet) == [S.SUBMITTED, S.UNTRIGGERED, S.NEEDS_OPERATOR, S.UNTRIGGERED, S.CANCELED]


def test_ended_algo_order_that_is_listed_returns_when_confirmed() -> None:
    pump, puppet, order = cancelled()
    reopen(pump, order.client_order_id)
    look(pump)
    assert states(puppet)[-3:] == [S.CANCELED, S.UNTRIGGERED, S.CANCELED]
    assert pump.told("BTCUSDT is halted")
    assert pump.venue.waiting_orders() == {}
    assert pump.engine.orders.get(order.client_order_id) is order
    assert not pump.told("had ended long ago")


def test_wrong_list_of_conditional_orders_is_not_believed() -> None:
    pump, puppet, order = waiting()
    (row,) = msgspec.json.decode(pump.venue.by_hand("GET", "/fapi/v1/openAlgoOrders", {}).body)
    want(pump, puppet, Cancel(order.client_order_id))
    list_also(pump, row)
    look(pump)
    assert states(puppet)[-1] == S.CANCELED
    assert not pump.told("is halted")


def test_conditional_order_proved_absent_returns_with_its_row() -> None:
    pump, puppet, order = unknown(-1007, arrives=False)
    pump.run(15)
    assert order.state is S.NEVER_ACCEPTED
    late = {"algoType": "CONDITIONAL", "symbol": B, "side": "BUY", "type": "STOP_MARKET", "quantity": "0.010"}
    late |= {"triggerPrice": "60100", "clientAlgoId": order.client_order_id}
    assert pump.venue.by_hand("POST", "/fapi/v1/algoOrder", late).status == 200
    pump.run(0.1)
    pump.loses = lambda _: False
    look(pump)
    assert states(puppet)[-3:] == [S.NEVER_ACCEPTED, S.UNTRIGGERED, S.CANCELED]
    assert pump.told("BTCUSDT is halted")


def test_a_forgotten_conditional_order_comes_back_when_confirmed() -> None:
    pump, puppet = world(trading=OrderSideLimits(ended_orders=3))
    names: list[str] = []
    for _ in range(6):
        want(pump, puppet, STOP)
        (order,) = pump.engine.orders.live
        names.append(order.client_order_id)
        want(pump, puppet, Cancel(order.client_order_id))
    assert pump.engine.orders.get(names[0]) is None
    reopen(pump, names[0])
    look(pump)
    assert pump.told("had ended long ago, and is open after all; it is cancelled")
    assert pump.venue.waiting_orders() == {}
