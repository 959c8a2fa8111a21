"""Conditional orders from acceptance through their trigger to the end."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest

from coldframe.config.venue import VenueAccount
from coldframe.enums import Side
from coldframe.exchange.contracts import to_scaled
from coldframe.exchange.market.public_market_data import PublicMarketData
from coldframe.exchange.market.symbol_market import SymbolMarket, UpdateIds
from coldframe.wire.account import AlgoUpdate, OrderTradeUpdate
from tests.exchange.rig import START_MS, SYMBOL, Rig, algo_states, order_events, symbol_market

BUY, SELL = Side.BUY, Side.SELL
PLACE, CANCEL, QUERY = "POST /fapi/v1/algoOrder", "DELETE /fapi/v1/algoOrder", "GET /fapi/v1/algoOrder"


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.book()
    made.public_takes(BUY, "0.001", "1000.1")  # a last price of 1000.1
    made.pass_ms(1)
    made.events()
    return made


def algo(rig: Rig, side: str, kind: str, account: str = "a", **more: object) -> dict | int:
    params = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": side, "type": kind, **more}
    return rig.call(PLACE, account, **params)  # type: ignore[return-value]


def trade_at(rig: Rig, text: str) -> None:
    """Lets the public trade at a price: what stands before it is taken away first."""
    price = to_scaled(Decimal(text))
    maker = BUY if price < to_scaled(Decimal(1000)) else SELL
    for level, _ in rig.symbol_market.matching.depth(maker, 50):
        if (level - price) * maker.sign > 0:
            rig.symbol_market.leave(maker, level, 10**18, rig.now_ms)
    rig.add_liquidity(maker, text, "0.002")
    rig.public_takes(maker.opposite, "0.001", text)
    rig.pass_ms(50)


def test_a_stop_becomes_a_market_order_when_its_price_trades(rig: Rig) -> None:
    placed = algo(rig, "BUY", "STOP_MARKET", quantity="1", triggerPrice="1005.0", clientAlgoId="stop")
    assert (placed["algoStatus"], placed["clientAlgoId"], placed["triggerPrice"]) == ("NEW", "stop", "1005.0")
    assert placed["icebergQuantity"] is None
    trade_at(rig, "1004.9")
    assert algo_states(rig.events()) == ["NEW"]
    rig.add_liquidity(SELL, "1006.0", "5")
    trade_at(rig, "1005.0")
    events = rig.events()
    assert algo_states(events) == ["TRIGGERING", "TRIGGERED", "FINISHED"]
    assert order_events(events)[0] == ("NEW", "NEW")
    assert rig.position() == 1
    row = rig.call(QUERY, algoId=placed["algoId"])
    assert (row["algoStatus"], row["actualType"]) == ("FINISHED", "MARKET")
    order = rig.query(int(row["actualOrderId"]))
    assert (order["origType"], order["type"], order["status"], order["stopPrice"]) == (
        "STOP_MARKET",
        "MARKET",
        "FILLED",
        "1005.0",
    )


def test_a_spike_between_two_looks_is_not_missed(rig: Rig) -> None:
    algo(rig, "BUY", "STOP_MARKET", quantity="0.1", triggerPrice="1005.0")
    rig.add_liquidity(SELL, "1005.0", "0.001")
    rig.symbol_market.leave(SELL, 10001 * 10**11, 10**18, rig.now_ms)
    rig.public_takes(BUY, "0.001", "1005.0")
    rig.add_liquidity(SELL, "1000.1", "50")
    rig.public_takes(BUY, "0.001", "1000.1")
    rig.pass_ms(50)
    assert rig.position() != 0


def test_a_stop_limit_becomes_a_limit_order_and_finishes_with_it(rig: Rig) -> None:
    placed = algo(rig, "SELL", "STOP", quantity="1", price="990.0", triggerPrice="995.0", timeInForce="GTC")
    rig.events()
    trade_at(rig, "994.0")
    assert algo_states(rig.events()) == ["TRIGGERING", "TRIGGERED"]
    row = rig.call(QUERY, algoId=placed["algoId"])
    order_id = int(row["actualOrderId"])
    assert rig.query(order_id)["type"] == "LIMIT"
    rig.cancel(order_id)
    rig.pass_ms(50)
    assert algo_states(rig.events()) == ["FINISHED"]


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "spared", "met"),
    [
        ("BUY", "TAKE_PROFIT_MARKET", "995.0", "995.1", "995.0"),
        ("SELL", "TAKE_PROFIT_MARKET", "1005.0", "1004.9", "1005.0"),
        ("SELL", "STOP_MARKET", "995.0", "995.1", "994.9"),
    ],
)
def test_triggers_look_in_the_right_direction(rig: Rig, side: str, kind: str, trigger: str, spared: str, met: str) -> None:
    algo(rig, side, kind, quantity="0.1", triggerPrice=trigger)
    trade_at(rig, spared)
    assert algo_states(rig.events()) == ["NEW"]
    trade_at(rig, met)
    assert "TRIGGERED" in algo_states(rig.events())


def test_a_mark_price_trigger_does_not_look_at_trades(rig: Rig) -> None:
    algo(rig, "BUY", "STOP_MARKET", quantity="0.1", triggerPrice="1005.0", workingType="MARK_PRICE")
    trade_at(rig, "1006.0")
    assert algo_states(rig.events()) == ["NEW"]
    rig.mark("1005.0")
    rig.pass_ms(50)
    assert "TRIGGERED" in algo_states(rig.events())


def test_price_protection_waits_until_last_and_mark_price_agree(rig: Rig) -> None:
    algo(rig, "BUY", "STOP_MARKET", quantity="0.1", triggerPrice="1060.0", workingType="MARK_PRICE", priceProtect="true")
    rig.mark("1061.0")
    rig.pass_ms(50)
    assert algo_states(rig.events()) == ["NEW"]
    trade_at(rig, "1055.0")
    assert "TRIGGERED" in algo_states(rig.events())


def test_a_trailing_stop_wakes_follows_and_turns(rig: Rig) -> None:
    algo(rig, "SELL", "TRAILING_STOP_MARKET", quantity="0.1", callbackRate="1", activatePrice="1010.0")
    trade_at(rig, "1009.0")
    trade_at(rig, "1010.0")
    trade_at(rig, "1030.0")
    pushes = [event.order for event in rig.events() if isinstance(event, AlgoUpdate)]
    assert [(str(push.status), push.activated) for push in pushes] == [("NEW", False), ("NEW", True)]
    trade_at(rig, "1020.0")
    assert algo_states(rig.events()) == []
    trade_at(rig, "1019.6")
    assert "TRIGGERED" in algo_states(rig.events())


def test_close_position_closes_what_is_there(rig: Rig) -> None:
    rig.place("BUY", "2")
    algo(rig, "SELL", "STOP_MARKET", closePosition="true", triggerPrice="995.0")
    rig.place("BUY", "1")
    rig.add_liquidity(BUY, "990.0", "10")
    trade_at(rig, "994.0")
    assert rig.position() == 0


@pytest.mark.parametrize("kind", ["STOP_MARKET", "TRAILING_STOP_MARKET"])
def test_an_order_that_ended_with_its_position_is_not_triggered(rig: Rig, kind: str) -> None:
    """Two are reached at once: the first closes the position, and the other has ended with it by then."""
    rig.place("BUY", "2")
    first = {"triggerPrice": "995.0"} if kind == "STOP_MARKET" else {"callbackRate": "0.1"}
    algo(rig, "SELL", kind, quantity="2", **first)
    closing = algo(rig, "SELL", "STOP_MARKET", closePosition="true", triggerPrice="995.0")
    rig.events()
    rig.add_liquidity(BUY, "990.0", "10")
    trade_at(rig, "994.0")
    assert rig.position() == 0
    ends = [
        update.order.status
        for update in rig.events()
        if isinstance(update, AlgoUpdate) and update.order.algo_id == closing["algoId"]
    ]
    assert ends == ["EXPIRED"]


def test_margin_is_only_checked_at_the_trigger(rig: Rig) -> None:
    placed = algo(rig, "BUY", "STOP_MARKET", quantity="400", triggerPrice="1005.0")
    assert placed["algoStatus"] == "NEW"
    trade_at(rig, "1005.0")
    updates = [event.order for event in rig.events() if isinstance(event, AlgoUpdate)]
    assert (str(updates[-1].status), updates[-1].reject_reason) == ("REJECTED", "Margin is insufficient.")


@pytest.mark.parametrize(
    ("kind", "more", "code"),
    [
        ("STOP_MARKET", {"quantity": "1", "triggerPrice": "1000.0"}, -2021),
        ("STOP_MARKET", {"quantity": "1"}, -1102),
        ("STOP_MARKET", {"triggerPrice": "1005.0"}, -1102),
        ("STOP", {"quantity": "1", "triggerPrice": "1005.0"}, -1102),
        ("STOP_MARKET", {"quantity": "1", "closePosition": "true", "triggerPrice": "1005.0"}, -4137),
        ("STOP_MARKET", {"closePosition": "true", "reduceOnly": "true", "triggerPrice": "1005.0"}, -1106),
        ("STOP_MARKET", {"closePosition": "true", "reduceOnly": "false", "triggerPrice": "1005.0"}, -4138),
        ("STOP", {"closePosition": "true", "price": "1005.0", "triggerPrice": "1005.0"}, -4136),
        ("TAKE_PROFIT", {"closePosition": "true", "price": "1005.0", "triggerPrice": "995.0"}, -4136),
        ("TRAILING_STOP_MARKET", {"closePosition": "true", "callbackRate": "1"}, -4136),
        ("STOP_MARKET", {"quantity": "1", "triggerPrice": "1005.0", "price": "1005.0"}, -1106),
        ("STOP_MARKET", {"quantity": "1", "triggerPrice": "1005.0", "callbackRate": "1"}, -1106),
        ("STOP_MARKET", {"quantity": "1", "triggerPrice": "1005.0", "activatePrice": "1005.0"}, -1106),
        ("TRAILING_STOP_MARKET", {"quantity": "1", "callbackRate": "1", "triggerPrice": "1005.0"}, -1106),
        ("TRAILING_STOP_MARKET", {"quantity": "1", "callbackRate": "1", "activatePrice": "0"}, -4135),
        ("STOP_MARKET", {"quantity": "1", "triggerPrice": "1005.0", "timeInForce": "GTX"}, -1115),
        ("STOP_MARKET", {"quantity": "1", "triggerPrice": "1005.0", "goodTillDate": START_MS + 700_000}, -1106),
        ("STOP_MARKET", {"quantity": "1", "triggerPrice": "1005.0", "timeInForce": "GTE_GTC"}, -4509),
        ("STOP", {"quantity": "1", "triggerPrice": "1005.0", "priceMatch": "OPPONENT_10"}, -5037),
        ("TAKE_PROFIT", {"quantity": "1", "triggerPrice": "995.0", "priceMatch": "OPPONENT_20"}, -5037),
        ("STOP", {"quantity": "1", "price": "1005.0", "triggerPrice": "1005.0", "priceMatch": "QUEUE"}, -1106),
        ("STOP_MARKET", {"quantity": "1", "triggerPrice": "1005.0", "priceMatch": "QUEUE"}, -5038),
        ("TRAILING_STOP_MARKET", {"quantity": "1"}, -1102),
        ("TRAILING_STOP_MARKET", {"quantity": "1", "callbackRate": "20.1"}, -2007),
        ("TRAILING_STOP_MARKET", {"quantity": "1", "callbackRate": "0.09"}, -2007),
        ("LIMIT", {"quantity": "1", "price": "1000.0"}, -1116),
        ("STOP_MARKET", {"quantity": "1", "triggerPrice": "0"}, -4006),
        ("STOP_MARKET", {"quantity": "1", "triggerPrice": "1005.05"}, -1111),
        ("STOP_MARKET", {"quantity": "0.0001", "triggerPrice": "1005.0"}, -1111),
        ("STOP_MARKET", {"quantity": "1", "triggerPrice": "1005.0", "symbol": "NOSUCH"}, -1121),
        ("STOP_MARKET", {"quantity": "1", "triggerPrice": "1005.0", "algoType": "VP"}, -1130),
        ("STOP_MARKET", {"quantity": "1", "triggerPrice": "1005.0", "positionSide": "LONG"}, -4061),
        ("STOP", {"quantity": "1", "price": "1005.0", "triggerPrice": "1005.0", "timeInForce": "GTD"}, -1102),
    ],
)
def test_refusals(rig: Rig, kind: str, more: dict[str, object], code: int) -> None:
    params = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "BUY", "type": kind} | more
    assert rig.call(PLACE, **params) == code


def test_in_hedge_mode_a_conditional_order_closes_its_own_side() -> None:
    rig = Rig(accounts=(VenueAccount(name="a", hedge_mode=True), VenueAccount(name="b")))
    rig.book()
    rig.public_takes(BUY, "0.001", "1000.1")
    rig.pass_ms(1)
    rig.place("BUY", "2", positionSide="LONG")
    rig.place("SELL", "3", positionSide="SHORT")
    stop = {"quantity": "2", "triggerPrice": "995.0"}
    assert algo(rig, "SELL", "STOP_MARKET", **stop) == -4061
    assert algo(rig, "SELL", "STOP_MARKET", positionSide="LONG", reduceOnly="true", **stop) == -1106
    rig.events()
    algo(rig, "SELL", "STOP_MARKET", positionSide="LONG", clientAlgoId="mine", **stop)
    rig.add_liquidity(BUY, "990.0", "50")
    trade_at(rig, "994.0")
    events = rig.events()
    assert algo_states(events) == ["NEW", "TRIGGERING", "TRIGGERED", "FINISHED"]
    assert {event.order.client_order_id for event in events if isinstance(event, OrderTradeUpdate)} == {"mine"}
    assert (rig.position(side="LONG"), rig.position(side="SHORT")) == (0, -3)


def test_before_the_first_trade_nothing_triggers_at_once() -> None:
    public_data = PublicMarketData(symbol_market().contract, 28_800_000, 1)
    public_data.book.known = True
    rig = Rig(SymbolMarket(public_data, UpdateIds(1000, Random(1)), 100, shows_orders=True))
    assert isinstance(algo(rig, "SELL", "STOP_MARKET", quantity="1", triggerPrice="995.0"), dict)
    rig.pass_ms(1_000)
    assert algo_states(rig.events()) == ["NEW"]


def test_cancelling_queries_and_lists(rig: Rig) -> None:
    first = algo(rig, "BUY", "STOP_MARKET", quantity="1", triggerPrice="1005.0", clientAlgoId="one")
    second = algo(rig, "BUY", "STOP_MARKET", quantity="1", triggerPrice="1006.0")
    assert algo(rig, "BUY", "STOP_MARKET", quantity="1", triggerPrice="1005.0", clientAlgoId="one") == -4116
    assert [row["algoId"] for row in rig.call("GET /fapi/v1/openAlgoOrders")] == [first["algoId"], second["algoId"]]
    gone = rig.call(CANCEL, clientAlgoId="one")
    assert gone == {"algoId": first["algoId"], "clientAlgoId": "one", "code": "200", "msg": "success"}
    assert rig.call(CANCEL, clientAlgoId="one") == -2011
    assert rig.call(CANCEL) == -1102
    assert rig.call(QUERY, clientAlgoId="one")["algoStatus"] == "CANCELED"
    assert rig.call(QUERY, algoId=1) == -2013
    assert rig.call("DELETE /fapi/v1/algoOpenOrders", symbol=SYMBOL)["code"] == 200
    assert rig.call("GET /fapi/v1/openAlgoOrders", symbol=SYMBOL) == []
    assert len(rig.call("GET /fapi/v1/allAlgoOrders", symbol=SYMBOL)) == 2


def test_no_more_than_two_hundred_may_be_open(rig: Rig) -> None:
    for _ in range(200):
        assert isinstance(algo(rig, "BUY", "STOP_MARKET", quantity="0.1", triggerPrice="1005.0"), dict)
    assert algo(rig, "BUY", "STOP_MARKET", quantity="0.1", triggerPrice="1005.0") == -4045


def test_a_dated_conditional_order_expires(rig: Rig) -> None:
    ends = START_MS + 700_000
    more = {"quantity": "1", "price": "1006.0", "triggerPrice": "1005.0", "timeInForce": "GTD", "goodTillDate": ends}
    algo(rig, "BUY", "STOP", **more)
    rig.pass_ms(700_001)
    assert algo_states(rig.events()) == ["NEW", "EXPIRED"]
