"""What refused amendments say: of one order, of a symbol, of the run; and when a quote is placed anew instead."""

from __future__ import annotations

import pytest

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.amending import FOR_THE_ORDER, FOR_THE_RUN, MOST_FAILURES, SYMBOL_CLOSED, Amending
from coldframe.core.state.orders import Order, Orders
from coldframe.model.effects import Level, Log
from tests.core.made import START_MS, START_NS
from tests.core.told import D, place, prepared

#: The method failed for a reason of this one request; our clock is off; the request is wrong.
ONCE, CLOCK, WRONG = -4014, -1021, -1102


class World:
    """Orders of the same symbol, and what their amendments have come to."""

    def __init__(self) -> None:
        self.ctx = StepContext(lambda: 0.5, now_ns=START_NS)
        self.amending = Amending(self.ctx)
        self.orders = Orders(START_MS)

    def order(self, symbol: str = "BTCUSDT") -> Order:
        return prepared(self.orders, place(symbol=symbol))

    def said(self, level: Level) -> list[str]:
        return [effect.text for effect in self.ctx.effects if isinstance(effect, Log) and effect.level is level]


@pytest.mark.parametrize("code", FOR_THE_ORDER)
def test_a_refusal_for_the_order_ends_its_amendments(code: int) -> None:
    world = World()
    order, other = world.order(), world.order()
    assert world.amending.failed(order, code)
    assert world.amending.why_not(order) == "the venue refuses its amendments for good"
    assert world.amending.why_not(other) == ""
    assert world.amending.replaces(order, D(100), D(1))
    assert not world.amending.replaces(other, D(99), D(1))
    assert len(world.said(Level.INFO)) == 1


@pytest.mark.parametrize("code", FOR_THE_RUN)
def test_a_refusal_of_the_method_ends_all_amendments(code: int) -> None:
    world = World()
    first, second = world.order(), world.order("ETHUSDT")
    assert world.amending.failed(first, code)
    assert world.amending.failed(second, code)
    assert not first.unamendable
    assert world.amending.why_not(world.order("XRPUSDT")).startswith("the venue does not know amendments")
    assert len(world.said(Level.WARNING)) == 1


def test_a_wrong_clock_says_nothing_about_amendments() -> None:
    world = World()
    order = world.order()
    for _ in range(5 * MOST_FAILURES):
        assert not world.amending.failed(order, CLOCK)
    assert order.failed_amendments == 0
    assert world.amending.why_not(order) == ""


@pytest.mark.parametrize(("failures", "replaced"), [(MOST_FAILURES - 1, False), (MOST_FAILURES, True), (MOST_FAILURES + 1, True)])
def test_an_order_that_fails_is_replaced_unless_it_has_to_grow(failures: int, replaced: bool) -> None:
    world = World()
    order = world.order()
    for _ in range(failures):
        assert not world.amending.failed(order, ONCE)
    assert world.amending.replaces(order, D(99), D(1)) is replaced
    assert world.amending.replaces(order, D(99), D(2)) is replaced
    assert world.amending.replaces(order, D(100), D("0.5")) is replaced
    assert world.amending.replaces(order, D(100), D(1)) is replaced
    assert not world.amending.replaces(order, D(100), D(2))
    world.amending.accepted(order)
    assert not world.amending.replaces(order, D(99), D(1))


@pytest.mark.parametrize(
    ("code", "stops"),
    [(-5026, True), (-5025, True), (-5047, True), (SYMBOL_CLOSED, False), (ONCE, False), (WRONG, True), (0, True)],
)
def test_three_orders_in_a_row_end_amendments_in_their_symbol(code: int, stops: bool) -> None:
    """A closed symbol may trade again, and what holds for one request says nothing about the next one."""
    world = World()
    tries = 1 if code in FOR_THE_ORDER else MOST_FAILURES
    for number in range(5):
        order = world.order()
        assert (order.symbol in world.amending.stopped_in) is (stops and number >= 3)
        for _ in range(tries):
            world.amending.failed(order, code)
    assert bool(world.amending.why_not(world.order())) is stops
    assert world.amending.why_not(world.order("ETHUSDT")) == ""
    assert len(world.said(Level.WARNING)) == stops
    if stops:
        assert ("no answer says why" in world.said(Level.WARNING)[0]) is (code == 0)


def test_an_amendment_that_succeeds_begins_the_count_anew() -> None:
    world = World()
    for _ in range(4):
        for _ in range(2):
            world.amending.failed(world.order(), -5026)
        world.amending.accepted(world.order())
    assert world.amending.stopped_in == {}


def test_an_order_that_was_amended_before_does_not_count() -> None:
    """The venue knows the method: that this order has been amended too often is about the order."""
    world = World()
    for _ in range(4):
        order = world.order()
        order.amended = True
        world.amending.failed(order, -5026)
        assert order.unamendable
    assert world.amending.stopped_in == {}


def test_one_order_counts_once_for_its_unexplained_failures() -> None:
    world = World()
    order = world.order()
    for _ in range(10 * MOST_FAILURES):
        world.amending.failed(order, 0)
    assert world.amending.stopped_in == {}
