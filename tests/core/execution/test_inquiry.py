"""Orders that no evidence has decided for long: handed to an operator, each by its own measure."""

from __future__ import annotations

import attrs
import pytest

from coldframe.core.execution.inquiry import OPERATOR_AFTER_MS
from coldframe.enums import OrderType
from coldframe.model.orders import OrderState
from coldframe.units import NS_PER_MS
from tests.core.ordering import placed, state
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

S = OrderState
AFTER = pytest.mark.parametrize(
    ("after_ms", "ends"), [(OPERATOR_AFTER_MS - 1, False), (OPERATOR_AFTER_MS, True), (OPERATOR_AFTER_MS + 1, True)]
)


def looked(made: Scripted, after_ms: int) -> None:
    """Orders are looked at `after_ms` from now; nothing else happens meanwhile."""
    assert made.engine.trading is not None
    made.now_ns += after_ms * NS_PER_MS
    made.engine._ctx.now_ns = made.now_ns
    made.engine.trading.executor.inquiry.give_up_old()


@AFTER
def test_an_order_of_unknown_fate_needs_an_operator_in_the_end(after_ms: int, ends: bool) -> None:
    made, _, order = placed("order.place")
    made.refuse(-1007)
    assert state(order) is S.UNKNOWN
    looked(made, after_ms)
    assert state(order) is (S.NEEDS_OPERATOR if ends else S.UNKNOWN)


@AFTER
def test_a_doubted_resting_order_needs_an_operator_in_the_end(after_ms: int, ends: bool) -> None:
    made, _, order = placed()
    made.engine.orders.doubted(order, made.now_ns)
    looked(made, after_ms)
    assert state(order) is (S.NEEDS_OPERATOR if ends else S.ACCEPTED)


@AFTER
def test_a_triggered_order_without_news_needs_an_operator(after_ms: int, ends: bool) -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.holds.add("algoOrder.place")
    made.want(actor, attrs.evolve(place(price=None), type=OrderType.STOP_MARKET, trigger_price=D(105)))
    (order,) = made.engine.orders.live
    made.engine.reports.triggered(order)
    assert state(order) is S.TRIGGERED
    looked(made, after_ms)
    assert state(order) is (S.NEEDS_OPERATOR if ends else S.TRIGGERED)


def test_an_order_that_rests_undoubted_needs_no_operator() -> None:
    made, _, order = placed()
    looked(made, 10 * OPERATOR_AFTER_MS)
    assert state(order) is S.ACCEPTED
