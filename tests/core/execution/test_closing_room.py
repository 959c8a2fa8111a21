"""Which refusals for lack of room are remembered, and what makes them forgotten."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.closing_room import NO_ROOM, SAME_ORDER, ClosingRoom
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.external import ExternalOrder
from coldframe.core.state.orders import Order, Orders, Origin
from coldframe.enums import OrderStatus, PositionSide, Side
from coldframe.model.intents import Place, VerdictCode
from coldframe.model.orders import OrderEvent
from tests.core.made import START_MS, START_NS, SYMBOL
from tests.core.told import D, place

SELL = Side.SELL
CLOSE = place(SELL, "4", "101", reduce_only=True)


class Room:
    """An account with a long position of 10, and orders beside each other."""

    def __init__(self) -> None:
        self.orders = Orders(START_MS)
        self.state = EngineState(StepContext(lambda: 0.5, now_ns=START_NS), self.orders, {})
        self.holds("10")
        self.others = self.state.external
        self.room = ClosingRoom(self.state)

    def holds(self, quantity: str) -> None:
        """The account's position is this."""
        held = self.state.external.account.position(SYMBOL)
        if D(quantity) != held.quantity:
            held.change(D(quantity) - held.quantity, D(100))

    def rests(self, wanted: Place) -> Order:
        order = self.orders.prepare("mm", wanted, Origin.PLACE, START_NS)
        self.orders.apply(order, OrderEvent.WRITTEN, START_NS)
        self.orders.see(order, OrderStatus.NEW, D(0), START_NS)
        return order

    def others_rest(self, remaining: str, *, side: Side = SELL, symbol: str = SYMBOL, order_id: int = 77) -> None:
        self.others.orders[symbol, order_id] = ExternalOrder(symbol, order_id, "web_1", side, D(remaining), D(101))

    def refused(self, code: int = NO_ROOM, wanted: Place = CLOSE) -> None:
        order = self.orders.prepare("mm", wanted, Origin.TARGET, START_NS)
        self.orders.apply(order, OrderEvent.WRITTEN, START_NS)
        self.room.refused(order, code)
        self.orders.apply(order, OrderEvent.REJECTED_BY_VENUE, START_NS)

    def shut(self, wanted: Place = CLOSE) -> str:
        verdict = self.room.against_place(wanted)
        assert verdict is None or verdict.code is VerdictCode.NO_ROOM
        return verdict.text if verdict is not None else ""

    def grows(self, order: Order, quantity: str, price: Decimal | None = None) -> bool:
        return self.room.against_growth(order, price or D(101), D(quantity)) is None


def test_orders_of_ours_that_close_the_same_are_named() -> None:
    made = Room()
    first = made.rests(CLOSE)
    made.rests(attrs.evolve(CLOSE, reduce_only=False))  # it opens as well
    made.rests(place(Side.BUY, "4", "99", reduce_only=True))
    made.rests(attrs.evolve(CLOSE, symbol="ETHUSDT"))
    made.others_rest("6")
    made.others_rest("3", side=Side.BUY, order_id=78)
    made.others_rest("3", symbol="ETHUSDT", order_id=79)
    made.orders.apply(made.rests(CLOSE), OrderEvent.SEEN_CANCELED, START_NS)
    made.refused()
    others = f"4 of {first.client_order_id}, 6 of order 77, which belongs to no strategy;"
    text = f"other orders close what there is of 10 {SYMBOL}: {others}"
    assert made.shut().startswith(text)


@pytest.mark.parametrize(
    "change", ["none", "own ends", "theirs ends", "theirs trades", "another of theirs", "another own", "position"]
)
def test_any_change_is_a_reason_to_try(change: str) -> None:
    made = Room()
    first = made.rests(CLOSE)
    made.others_rest("6")
    made.refused()
    assert made.shut()
    match change:
        case "own ends":
            made.orders.apply(first, OrderEvent.SEEN_CANCELED, START_NS)
        case "theirs ends":
            made.others.orders.clear()
        case "theirs trades":
            made.others_rest("5")
        case "another of theirs":
            made.others_rest("1", order_id=80)
        case "another own":
            made.rests(CLOSE)
        case "position":
            made.holds("9")
    assert bool(made.shut()) is (change == "none")
    made.holds("10")
    assert bool(made.shut()) is (change == "none")  # what was forgotten is not remembered again


def test_only_this_refusal_of_what_closes_is_remembered() -> None:
    made = Room()
    made.rests(CLOSE)
    made.refused(-2010)
    assert not made.shut()
    made.refused(wanted=place(SELL, "4", "101"))
    assert not made.shut()
    made.refused()
    assert made.shut()
    others = (place(SELL, "4", "101"), attrs.evolve(CLOSE, side=Side.BUY), attrs.evolve(CLOSE, symbol="ETHUSDT"))
    assert [made.shut(other) for other in others] == ["", "", ""]
    assert not made.shut(place(SELL, "4", "101", position_side=PositionSide.LONG))


def test_a_refusal_that_nothing_explains_is_not_believed() -> None:
    made = Room()
    made.refused()
    order = made.rests(CLOSE)
    made.room.refused(order, SAME_ORDER)
    assert not made.shut()
    assert made.grows(order, "5")


def test_an_order_that_was_cut_does_not_grow_where_it_stands() -> None:
    made = Room()
    order = made.rests(CLOSE)
    made.others_rest("6")
    made.room.refused(order, -5026)
    assert made.grows(order, "5")
    made.room.refused(order, SAME_ORDER)
    assert not made.shut()
    assert [made.grows(order, quantity) for quantity in ("3", "4", "5")] == [True, True, False]
    assert made.grows(order, "5", D(102))
    other = made.rests(attrs.evolve(CLOSE, symbol="ETHUSDT"))
    assert made.grows(other, "5")
    made.others_rest("5")
    assert made.grows(order, "5")
    made.others_rest("6")
    assert made.grows(order, "5")


def test_orders_that_have_ended_are_forgotten() -> None:
    made = Room()
    made.others_rest("6")
    cut, gone = made.rests(CLOSE), made.rests(CLOSE)
    made.room.refused(cut, SAME_ORDER)
    assert set(made.room._cut) == {cut.client_order_id}
    made.orders.apply(gone, OrderEvent.SEEN_CANCELED, START_NS)
    made.room.refused(gone, SAME_ORDER)
    assert set(made.room._cut) == {cut.client_order_id}
    made.orders.apply(cut, OrderEvent.SEEN_CANCELED, START_NS)
    made.refused()
    assert made.room._cut == {}
