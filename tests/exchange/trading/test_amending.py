"""Modifications: what they change, what they cost, when they cancel, when they are refused."""

from __future__ import annotations

import json

import pytest

from coldframe.config.venue import VenueAccount
from coldframe.enums import Side
from tests.exchange.queues import ahead_of, left_of
from tests.exchange.rig import SYMBOL, Rig, last_order, order_events

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.book()
    return made


def test_a_modified_order_keeps_its_id_and_loses_its_place(rig: Rig) -> None:
    first = rig.place("BUY", "1", "990.0")["orderId"]
    second = rig.place("BUY", "1", "990.0", account="b")["orderId"]
    rig.events()
    answer = rig.modify(first, "BUY", "0.5", "990.0", modifyId=7)
    assert (answer["orderId"], answer["origQty"], answer["modifyId"], answer["status"]) == (first, "0.500", 7, "NEW")
    report = last_order(rig.events()).order
    assert (str(report.execution), report.quantity, report.modify_id) == ("AMENDMENT", "0.500", "7")
    assert ahead_of(rig.symbol_market.matching, second) == 0
    assert ahead_of(rig.symbol_market.matching, first) == 10**12


def test_a_modified_order_may_trade_at_once(rig: Rig) -> None:
    order_id = rig.place("BUY", "1", "990.0")["orderId"]
    rig.events()
    rig.modify(order_id, "BUY", "1", "1000.1")
    assert order_events(rig.events()) == [("AMENDMENT", "NEW"), ("TRADE", "FILLED")]


def test_a_quantity_that_is_already_filled_cancels_the_order(rig: Rig) -> None:
    order_id = rig.place("BUY", "2", "1000.0")["orderId"]
    rig.public_takes(SELL, "1", "1000.0")
    answer = rig.modify(order_id, "BUY", "1", "1000.0")
    assert (answer["status"], answer["executedQty"]) == ("CANCELED", "1.000")
    assert left_of(rig.symbol_market.matching, order_id) == 0


def test_a_post_only_order_that_would_cross_is_cancelled(rig: Rig) -> None:
    order_id = rig.place("BUY", "1", "990.0", timeInForce="GTX")["orderId"]
    assert rig.modify(order_id, "BUY", "1", "1000.1")["status"] == "CANCELED"


def test_invalid_values_leave_the_order_untouched(rig: Rig) -> None:
    order_id = rig.place("BUY", "1", "990.0")["orderId"]
    rig.events()
    assert rig.modify(order_id, "BUY", "1", "990.05") == -1111
    assert rig.modify(order_id, "BUY", "0.005", "990.0") == -5029
    assert rig.modify(order_id, "BUY", "1", "1100.0") == -4016
    assert rig.modify(order_id, "BUY", "1", "990.0") == -5027
    assert rig.modify(order_id, "SELL", "1", "991.0") == -1130
    assert rig.modify(order_id, "BUY", "1", None) == -1102
    assert rig.modify(order_id, "BUY", "999", "990.0") == -2019
    assert rig.modify(order_id, "BUY", "1", "991.0", priceMatch="QUEUE") == -1106
    assert rig.modify(order_id, "BUY", "1", None, priceMatch="OPPONENT_20") == -5037
    assert rig.modify(order_id + 1, "BUY", "1", "991.0") == -2013
    assert rig.events() == []
    assert rig.query(order_id)["price"] == "990.0"
    assert left_of(rig.symbol_market.matching, order_id) == 10**12


def test_only_the_request_spares_a_reduce_only_order_the_minimum(rig: Rig) -> None:
    """protocol.md 7.3: reduceOnly on modify is a check, and leaves MIN_NOTIONAL out; the order's own flag does not."""
    rig.place("BUY", "2")
    order_id = rig.place("SELL", "1", "1010.0", reduceOnly="true")["orderId"]
    assert rig.modify(order_id, "SELL", "0.002", "1010.0") == -5029
    assert rig.modify(order_id, "SELL", "0.002", "1010.0", reduceOnly="false") == -5029
    changed = rig.modify(order_id, "SELL", "0.002", "1010.0", reduceOnly="true")
    assert (changed["origQty"], changed["reduceOnly"]) == ("0.002", True)
    assert rig.modify(order_id, "SELL", "1", "1010.0")["reduceOnly"] is True


def test_reduce_only_on_modify_refuses_any_other_order(rig: Rig) -> None:
    rig.place("BUY", "2")
    order_id = rig.place("SELL", "1", "1010.0")["orderId"]
    rig.events()
    assert rig.modify(order_id, "SELL", "0.5", "1010.0", reduceOnly="true") == -5047
    assert rig.modify(order_id, "SELL", "0.5", "1010.0", reduceOnly="perhaps") == -1102
    assert rig.events() == []
    assert rig.modify(order_id, "SELL", "0.5", "1010.0", reduceOnly="false")["origQty"] == "0.500"


def test_a_batch_of_modifications_knows_reduce_only(rig: Rig) -> None:
    rig.place("BUY", "2")
    closing, other = (rig.place("SELL", "0.5", "1010.0", reduceOnly=flag)["orderId"] for flag in ("true", "false"))
    rows = [
        {"symbol": SYMBOL, "orderId": order_id, "side": "SELL", "quantity": "0.002", "price": "1010.0", "reduceOnly": "true"}
        for order_id in (closing, other)
    ]
    answers = rig.call("PUT /fapi/v1/batchOrders", batchOrders=json.dumps(rows))
    assert answers[0]["origQty"] == "0.002"
    assert answers[1]["code"] == -5047


def test_reduce_only_order_cannot_be_modified_beyond_position(rig: Rig) -> None:
    rig.place("BUY", "2")
    order_id = rig.place("SELL", "1", "1010.0", reduceOnly="true")["orderId"]
    assert rig.modify(order_id, "SELL", "10", "1010.0")["origQty"] == "2.000"
    assert rig.modify(order_id, "SELL", "10", "1010.0") == -5027
    answer = rig.modify(order_id, "SELL", "10", "999.9")
    assert (answer["status"], answer["executedQty"], answer["origQty"]) == ("FILLED", "2.000", "2.000")
    assert rig.position() == 0


def test_a_modified_reduce_only_order_leaves_the_others_theirs(rig: Rig) -> None:
    rig.place("BUY", "2")
    first = rig.place("SELL", "0.5", "1010.0", reduceOnly="true")["orderId"]
    rig.place("SELL", "1", "1011.0", reduceOnly="true")
    assert rig.modify(first, "SELL", "2", "1009.0")["origQty"] == "1.000"
    rig.public_takes(BUY, "0.25", "1009.0")
    assert rig.modify(first, "SELL", "2", "1008.0")["origQty"] == "1.000"
    assert rig.modify(first, "SELL", "0.5", "1008.0")["origQty"] == "0.500"


@pytest.mark.parametrize("side", ["LONG", "SHORT"])
def test_a_modified_order_never_turns_a_side_of_hedge_mode(side: str) -> None:
    rig = Rig(accounts=(VenueAccount(name="a", hedge_mode=True), VenueAccount(name="b")))
    rig.book()
    opening, closing, crossing = ("BUY", "SELL", "999.9") if side == "LONG" else ("SELL", "BUY", "1000.1")
    rig.place(opening, "2", positionSide=side)
    resting = rig.place(closing, "2", "1010.0" if side == "LONG" else "990.0", positionSide=side)["orderId"]
    assert rig.modify(resting, closing, "10", crossing)["origQty"] == "2.000"
    assert rig.position(side=side) == 0


def test_price_match_works_for_a_modification(rig: Rig) -> None:
    order_id = rig.place("BUY", "1", "990.0")["orderId"]
    assert rig.modify(order_id, "BUY", "1", None, priceMatch="QUEUE")["price"] == "999.9"


def test_the_margin_of_the_old_form_is_free_for_the_new_one(rig: Rig) -> None:
    order_id = rig.place("BUY", "150", "990.0")["orderId"]
    assert rig.modify(order_id, "BUY", "190", "990.0")["origQty"] == "190.000"
    assert rig.modify(order_id, "BUY", "210", "990.0") == -2019


@pytest.mark.scene
def test_more_than_ten_thousand_modifications_are_too_many(rig: Rig) -> None:
    order_id = rig.place("BUY", "1", "990.0")["orderId"]
    for number in range(10_000):
        assert rig.modify(order_id, "BUY", str(1 + number % 2), "991.0")["origQty"]
    assert rig.modify(order_id, "BUY", "1", "990.0") == -5026
    assert rig.query(order_id)["price"] == "991.0"


def test_the_history_of_modifications_is_kept(rig: Rig) -> None:
    order_id = rig.place("BUY", "1", "990.0")["orderId"]
    rig.modify(order_id, "BUY", "2", "991.0", modifyId=3)
    (row,) = rig.call("GET /fapi/v1/orderAmendment", symbol=SYMBOL, orderId=order_id)
    assert row["amendment"] == {
        "price": {"before": "990.0", "after": "991.0"},
        "origQty": {"before": "1.000", "after": "2.000"},
        "count": 1,
        "modifyId": 3,
    }
    assert rig.call("GET /fapi/v1/orderAmendment") == -1102
