"""Orders that may only close, in one-way and in hedge mode, and what happens to them when the position changes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe.config.venue import VenueAccount
from coldframe.enums import Side
from tests.exchange.queues import left_of
from tests.exchange.rig import SYMBOL, Rig, account_updates, last_order, order_events

BUY, SELL = Side.BUY, Side.SELL
D = Decimal


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.book()
    return made


@pytest.fixture
def hedged() -> Rig:
    made = Rig(accounts=(VenueAccount(name="a", hedge_mode=True), VenueAccount(name="b")))
    made.book()
    return made


# -- reduce-only --------------------------------------------------------------------------------------------------------


def test_reduce_only_without_position_or_on_its_side_is_refused(rig: Rig) -> None:
    assert rig.place("SELL", "1", "1010.0", reduceOnly="true") == -2022
    rig.place("BUY", "1")
    assert rig.place("BUY", "1", "990.0", reduceOnly="true") == -2022


def test_reduce_only_is_cut_to_what_the_position_leaves(rig: Rig) -> None:
    rig.place("BUY", "2")
    first = rig.place("SELL", "1.5", "1010.0", reduceOnly="true")
    assert (first["origQty"], first["reduceOnly"]) == ("1.500", True)
    second = rig.place("SELL", "1.5", "1011.0", reduceOnly="true")
    assert second["origQty"] == "0.500"
    assert rig.place("SELL", "1", "1012.0", reduceOnly="true") == -4118


def test_reduce_only_needs_no_least_notional_and_no_margin(rig: Rig) -> None:
    rig.place("BUY", "0.006")
    assert isinstance(rig.place("SELL", "0.001", "1010.0", reduceOnly="true"), dict)


def test_resting_reduce_only_orders_never_turn_the_position(rig: Rig) -> None:
    rig.place("BUY", "2")
    early = rig.place("SELL", "1.5", "1000.0", reduceOnly="true")["orderId"]
    late = rig.place("SELL", "0.5", "1000.0", reduceOnly="true")["orderId"]
    rig.events()
    rig.place("SELL", "1.2")  # leaves 0.8, so the first is cut to 0.8 and the second has nothing left to close
    assert rig.query(late)["status"] == "EXPIRED"
    assert last_order(rig.events()).order.expiry_reason == "4"
    rig.public_takes(BUY, "5", "1000.0")
    assert rig.position() == 0
    row = rig.query(early)
    assert (row["status"], row["executedQty"], row["origQty"]) == ("FILLED", "0.800", "0.800")


def test_resting_orders_that_fill_cut_the_others_too(rig: Rig) -> None:
    rig.place("BUY", "2")
    closing = rig.place("SELL", "2", "1000.1", reduceOnly="true")["orderId"]
    rig.place("SELL", "1.5", "1000.0")
    rig.public_takes(BUY, "1.5", "1000.0")
    assert rig.position() == D("0.5")
    assert left_of(rig.symbol_market.matching, closing) == 5 * 10**11
    assert rig.query(closing)["origQty"] == "0.500"
    (open_order,) = rig.call("GET /fapi/v1/openOrders", symbol=SYMBOL)
    assert open_order["origQty"] == "0.500"
    rig.events()
    rig.public_takes(BUY, "98.2", "1000.1")
    report = last_order(rig.events()).order
    assert (str(report.status), report.quantity, report.filled_quantity) == ("PARTIALLY_FILLED", "0.500", "0.200")
    assert rig.cancel(closing)["origQty"] == "0.500"


@pytest.mark.parametrize(("plain", "status", "filled"), [("1", "EXPIRED", "0.000"), ("0.4", "FILLED", "0.600")])
def test_sweep_meeting_another_order_leaves_reduce_only_the_rest(rig: Rig, plain: str, status: str, filled: str) -> None:
    rig.place("BUY", "1")
    rig.place("SELL", plain, "1000.0")
    order_id = rig.place("SELL", "1", "1000.1", reduceOnly="true")["orderId"]
    rig.public_takes(BUY, "200", "1000.1")
    assert rig.position() == 0
    row = rig.query(order_id)
    assert (row["status"], row["executedQty"]) == (status, filled)


def test_a_closed_position_takes_its_reduce_only_orders_with_it(rig: Rig) -> None:
    rig.place("BUY", "1")
    order_id = rig.place("SELL", "1", "1010.0", reduceOnly="true")["orderId"]
    rig.place("SELL", "1")
    assert rig.query(order_id)["status"] == "EXPIRED"


def test_used_up_cut_order_ends_though_the_position_grew_again(rig: Rig) -> None:
    rig.place("BUY", "2")
    order_id = rig.place("SELL", "2", "1000.0", reduceOnly="true")["orderId"]
    rig.place("SELL", "1")
    rig.place("BUY", "5", selfTradePreventionMode="EXPIRE_TAKER")
    rig.place("BUY", "5", "1000.1", selfTradePreventionMode="NONE", timeInForce="IOC")
    row = rig.query(order_id)
    assert (row["status"], row["executedQty"], row["origQty"]) == ("FILLED", "1.000", "1.000")


def test_a_market_order_that_closes_is_cut_too(rig: Rig) -> None:
    rig.place("BUY", "1")
    answer = rig.place("SELL", "5", reduceOnly="true", newOrderRespType="RESULT")
    assert (answer["status"], answer["origQty"]) == ("FILLED", "1.000")
    assert rig.position() == 0


# -- hedge mode ---------------------------------------------------------------------------------------------------------


def test_hedge_mode_keeps_long_and_short_side_by_side(hedged: Rig) -> None:
    assert hedged.place("BUY", "1") == -4061
    assert hedged.place("BUY", "1", positionSide="LONG", reduceOnly="true") == -1106
    hedged.place("BUY", "2", positionSide="LONG")
    hedged.place("SELL", "1", positionSide="SHORT")
    assert (hedged.position(side="LONG"), hedged.position(side="SHORT")) == (2, -1)
    update = account_updates(hedged.events())[-1]
    assert [(str(position.position_side), position.quantity) for position in update.change.positions] == [
        ("LONG", "2"),
        ("SHORT", "-1"),
    ]
    rows = hedged.call("GET /fapi/v3/positionRisk", symbol=SYMBOL)
    assert [(row["positionSide"], row["positionAmt"]) for row in rows] == [("LONG", "2.000"), ("SHORT", "-1.000")]


def test_closing_in_hedge_mode_never_exceeds_the_side(hedged: Rig) -> None:
    assert hedged.place("SELL", "1", positionSide="LONG") == -2022
    hedged.place("BUY", "1", positionSide="LONG")
    answer = hedged.place("SELL", "3", positionSide="LONG", newOrderRespType="RESULT")
    assert (answer["origQty"], answer["status"]) == ("1.000", "FILLED")
    assert hedged.position(side="LONG") == 0
    hedged.place("SELL", "1", positionSide="SHORT")
    hedged.place("BUY", "1", "990.0", positionSide="SHORT")
    assert hedged.place("BUY", "1", "989.0", positionSide="SHORT") == -4118


def test_both_sides_tie_up_margin_of_their_own(hedged: Rig) -> None:
    hedged.place("BUY", "2", positionSide="LONG")
    hedged.place("SELL", "2", positionSide="SHORT")
    row = hedged.call("GET /fapi/v3/account")
    assert row["totalPositionInitialMargin"] == "200.00000000"


def test_the_mode_changes_only_when_nothing_is_open(rig: Rig) -> None:
    change = "POST /fapi/v1/positionSide/dual"
    assert rig.call(change, dualSidePosition="false") == -4059
    order_id = rig.place("BUY", "1", "990.0")["orderId"]
    assert rig.call(change, dualSidePosition="true") == -4067
    rig.cancel(order_id)
    rig.place("BUY", "1")
    assert rig.call(change, dualSidePosition="true") == -4068
    rig.place("SELL", "1")
    assert rig.call(change, dualSidePosition="true")["code"] == 200
    assert rig.call("GET /fapi/v1/positionSide/dual") == {"dualSidePosition": True}
    assert rig.place("BUY", "1", positionSide="LONG")["positionSide"] == "LONG"


def test_the_taker_of_two_resting_orders_is_booked_for_both(rig: Rig) -> None:
    rig.place("SELL", "1", "1000.0", account="b")
    rig.place("SELL", "1", "1000.0", account="b")
    rig.events()
    rig.place("BUY", "2", "1000.0")
    assert order_events(rig.events()) == [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), ("TRADE", "FILLED")]
    assert (rig.position(), rig.position("b")) == (2, -2)
