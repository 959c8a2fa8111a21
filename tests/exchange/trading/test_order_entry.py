"""The life of an order: every type and time in force, self-trade prevention, price match, refusals."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe.enums import ContractStatus, Side
from coldframe.exchange.contracts import Contract
from coldframe.wire.account import OrderTradeUpdate, TradeLite
from tests.exchange.rig import START_MS, SYMBOL, Rig, last_order, order_events, symbol_market

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.book()
    return made


# -- the life of each kind ------------------------------------------------------------------------------------------------


def test_a_limit_order_rests_fills_in_parts_and_ends_filled(rig: Rig) -> None:
    placed = rig.place("BUY", "2", "1000.0")
    assert placed["status"] == "NEW"
    assert order_events(rig.events()) == [("NEW", "NEW")]
    rig.public_takes(SELL, "0.5", "1000.0")
    rig.public_takes(SELL, "3", "1000.0")
    assert order_events(rig.events()) == [("TRADE", "PARTIALLY_FILLED"), ("TRADE", "FILLED")]
    row = rig.query(placed["orderId"])
    assert (row["status"], row["executedQty"], row["avgPrice"], row["cumQuote"]) == ("FILLED", "2.000", "1000.0", "2000.0")
    assert rig.position() == 2


def test_marketable_limit_order_trades_at_maker_prices_and_rests() -> None:
    rig = Rig()
    rig.add_liquidity(SELL, "1000.1", "1")
    rig.add_liquidity(SELL, "1000.2", "1")
    order_id = rig.place("BUY", "3", "1000.2")["orderId"]
    row = rig.query(order_id)
    assert (row["status"], row["executedQty"], Decimal(row["cumQuote"])) == ("PARTIALLY_FILLED", "2.000", Decimal("2000.3"))
    assert rig.symbol_market.matching.depth(BUY, 1) == [(10002 * 10**11, 10**12)]


def test_ack_says_new_for_a_filled_market_order_result_says_end(rig: Rig) -> None:
    ack = rig.place("BUY", "1")
    assert (ack["status"], ack["executedQty"]) == ("NEW", "0.000")
    assert "avgPrice" not in ack
    result = rig.place("BUY", "1", newOrderRespType="RESULT")
    assert (result["status"], result["executedQty"]) == ("FILLED", "1.000")
    resting = rig.place("BUY", "1", "999.0", newOrderRespType="RESULT")
    assert resting["status"] == "NEW"


def test_market_order_fills_within_bounds_and_its_rest_expires() -> None:
    rig = Rig()
    rig.add_liquidity(SELL, "1000.1", "1")
    rig.add_liquidity(SELL, "1060.0", "5")  # beyond marketTakeBound of 5 % of the mark price
    rig.place("BUY", "3")
    events = rig.events()
    assert order_events(events) == [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), ("EXPIRED", "EXPIRED")]
    assert last_order(events).order.expiry_reason == "9"
    assert rig.position() == 1


def test_immediate_or_cancel_trades_and_expires(rig: Rig) -> None:
    rig.place("BUY", "1", "1000.0", timeInForce="IOC")
    events = rig.events()
    assert order_events(events) == [("NEW", "NEW"), ("EXPIRED", "EXPIRED")]
    assert last_order(events).order.expiry_reason == "2"
    rig = Rig()
    rig.add_liquidity(SELL, "1000.1", "1")
    answer = rig.place("BUY", "1.5", "1000.1", timeInForce="IOC", newOrderRespType="RESULT")
    assert (answer["status"], answer["executedQty"]) == ("EXPIRED", "1.000")


def test_fill_or_kill_fills_whole_or_is_refused() -> None:
    rig = Rig()
    rig.add_liquidity(SELL, "1000.1", "1")
    assert rig.place("BUY", "1.001", "1000.1", timeInForce="FOK") == -5021
    assert order_events(rig.events()) == []
    filled = rig.place("BUY", "1", "1000.1", timeInForce="FOK", newOrderRespType="RESULT")
    assert filled["status"] == "FILLED"


@pytest.mark.parametrize("time_in_force", ["GTX", "RPI"])
def test_post_only_never_takes(rig: Rig, time_in_force: str) -> None:
    assert rig.place("BUY", "1", "1000.1", timeInForce=time_in_force) == -5022
    resting = rig.place("BUY", "1", "1000.0", timeInForce=time_in_force)
    assert (resting["status"], resting["timeInForce"]) == ("NEW", time_in_force)


def test_gtd_order_is_rounded_to_seconds_bounded_and_expires(rig: Rig) -> None:
    ends = START_MS + 700_999
    assert rig.place("BUY", "1", "990.0", timeInForce="GTD", goodTillDate=START_MS + 600_000) == -5040
    assert rig.place("BUY", "1", "990.0", timeInForce="GTD") == -1102
    placed = rig.place("BUY", "1", "990.0", timeInForce="GTD", goodTillDate=ends)
    assert placed["goodTillDate"] == START_MS + 700_000
    rig.events()
    rig.pass_ms(699_999)
    assert rig.events() == []
    rig.pass_ms(1)
    assert order_events(rig.events()) == [("EXPIRED", "EXPIRED")]
    assert rig.symbol_market.matching.quantity_at(BUY, 990 * 10**12) == 0


# -- events -----------------------------------------------------------------------------------------------------------


def test_fill_sends_trade_lite_then_order_and_account_update(rig: Rig) -> None:
    placed = rig.place("BUY", "1", newClientOrderId="mine")
    new, lite, *pair = rig.events()
    assert isinstance(new, OrderTradeUpdate)
    assert isinstance(lite, TradeLite)
    assert {item.event for item in pair} == {"ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE"}
    assert {item.transaction_ms for item in pair} == {lite.transaction_ms}
    trade = last_order(pair).order
    assert (trade.trade_id, trade.order_id, trade.client_order_id) == (lite.trade_id, placed["orderId"], "mine")
    assert (trade.commission, trade.commission_asset, trade.realized_pnl, trade.maker) == (
        "0.50005000",
        "USDT",
        "0.00000000",
        False,
    )


def test_the_two_events_of_a_fill_come_in_either_order(rig: Rig) -> None:
    firsts = set()
    for _ in range(30):
        rig.place("BUY", "0.1")
        firsts.add(rig.events()[2].event)
    assert firsts == {"ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE"}


def test_notionals_of_open_orders_stand_in_the_events(rig: Rig) -> None:
    rig.place("BUY", "1", "990.0")
    rig.place("SELL", "2", "1010.0")
    report = last_order(rig.events()).order
    assert (Decimal(report.bid_notional), Decimal(report.ask_notional)) == (990, 2020)


# -- self-trade prevention ------------------------------------------------------------------------------------------------


def test_expire_maker_is_the_default_and_is_reported() -> None:
    rig = Rig()
    resting = rig.place("SELL", "1", "1000.0")
    assert resting["selfTradePreventionMode"] == "EXPIRE_MAKER"
    rig.add_liquidity(SELL, "1000.0", "1")
    rig.events()
    rig.place("BUY", "1", "1000.0")
    states = order_events(rig.events())
    assert states == [("NEW", "NEW"), ("EXPIRED", "EXPIRED_IN_MATCH"), ("TRADE", "FILLED")]
    assert rig.query(resting["orderId"])["status"] == "EXPIRED_IN_MATCH"


@pytest.mark.parametrize(
    ("mode", "maker", "taker", "reason"),
    [
        ("NONE", "FILLED", "FILLED", None),
        ("EXPIRE_TAKER", "NEW", "EXPIRED_IN_MATCH", "1"),
        ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH", "1"),
        ("EXPIRE_MAKER", "EXPIRED_IN_MATCH", "NEW", None),
    ],
)
def test_each_prevention_mode(mode: str, maker: str, taker: str, reason: str | None) -> None:
    rig = Rig()
    resting = rig.place("SELL", "1", "1000.0")
    incoming = rig.place("BUY", "1", "1000.0", selfTradePreventionMode=mode)
    assert rig.query(resting["orderId"])["status"] == maker
    assert rig.query(incoming["orderId"])["status"] == taker
    if reason:
        assert last_order(rig.events()).order.expiry_reason == reason


def test_prevention_of_an_ioc_order_has_its_own_reason() -> None:
    rig = Rig()
    rig.place("SELL", "1", "1000.0")
    rig.place("BUY", "1", "1000.0", timeInForce="IOC", selfTradePreventionMode="EXPIRE_TAKER")
    assert last_order(rig.events()).order.expiry_reason == "3"


def test_different_accounts_trade_with_each_other() -> None:
    rig = Rig()
    rig.place("SELL", "1", "1000.0", account="b")
    rig.place("BUY", "1", "1000.0")
    assert (rig.position("a"), rig.position("b")) == (1, -1)
    events = rig.exchange.state.take_events()
    ids = {event.order.trade_id for _, event in events if isinstance(event, OrderTradeUpdate) and event.order.trade_id}
    assert len(ids) == 1


# -- price match --------------------------------------------------------------------------------------------------------


def _offers() -> Rig:
    rig = Rig()
    for number in range(1, 7):
        rig.add_liquidity(BUY, f"99{9 - number}.0", "1")
        rig.add_liquidity(SELL, f"100{number}.0", "1")
    return rig


@pytest.mark.parametrize(
    ("match", "price"), [("OPPONENT", "1001.0"), ("OPPONENT_5", "1005.0"), ("QUEUE", "998.0"), ("QUEUE_5", "994.0")]
)
def test_price_match_takes_the_price_from_the_book(match: str, price: str) -> None:
    rig = _offers()
    placed = rig.place("BUY", "0.1", type="LIMIT", timeInForce="GTC", priceMatch=match)
    assert (placed["price"], placed["priceMatch"]) == (price, match)


def test_price_match_refusals() -> None:
    rig = _offers()
    match = {"timeInForce": "GTC", "type": "LIMIT"}
    assert rig.place("BUY", "0.1", **match, priceMatch="QUEUE_10") == -5041
    assert rig.place("BUY", "0.1", **match, priceMatch="OPPONENT_10") == -5037
    assert rig.place("BUY", "0.1", **match, priceMatch="OPPONENT_20") == -5037
    assert rig.place("BUY", "0.1", **match, priceMatch="SIDEWAYS") == -5037
    assert rig.place("BUY", "0.1", "990.0", priceMatch="QUEUE") == -1106
    assert rig.place("BUY", "0.1", priceMatch="QUEUE") == -5038


# -- refusals -----------------------------------------------------------------------------------------------------------

LIMIT = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "1000.0"}
MARKET = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "1"}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        (LIMIT | {"symbol": "NOSUCH"}, -1121),
        (LIMIT | {"symbol": None}, -1102),
        (LIMIT | {"side": "HOLD"}, -1117),
        (LIMIT | {"type": "ICEBERG"}, -1116),
        (LIMIT | {"type": "LIQUIDATION"}, -1116),
        (LIMIT | {"type": "STOP_MARKET"}, -4120),
        (LIMIT | {"type": "TRAILING_STOP_MARKET"}, -4120),
        (LIMIT | {"timeInForce": None}, -1102),
        (LIMIT | {"timeInForce": "NOW"}, -1115),
        (LIMIT | {"quantity": None}, -1102),
        (LIMIT | {"price": None}, -1102),
        (LIMIT | {"price": "1e3"}, -1100),
        (LIMIT | {"quantity": "-1"}, -1100),
        (LIMIT | {"newOrderRespType": "FULL"}, -1136),
        (LIMIT | {"selfTradePreventionMode": "SOMETIMES"}, -5039),
        (LIMIT | {"newClientOrderId": "no blanks"}, -4015),
        (LIMIT | {"newClientOrderId": "x" * 37}, -4015),
        (LIMIT | {"goodTillDate": START_MS + 700_000}, -1106),
        (LIMIT | {"price": "0"}, -4001),
        (LIMIT | {"price": "1000.05"}, -1111),
        (LIMIT | {"price": "100000.1"}, -4002),
        (LIMIT | {"price": "1050.1"}, -4016),
        (LIMIT | {"side": "SELL", "price": "949.9"}, -4024),
        (LIMIT | {"quantity": "0"}, -4003),
        (LIMIT | {"quantity": "0.0001"}, -1111),
        (LIMIT | {"quantity": "1001"}, -4005),
        (LIMIT | {"quantity": "0.004"}, -4164),
        (MARKET | {"quantity": "501"}, -4005),
        (MARKET | {"price": "1000.0"}, -1106),
        (MARKET | {"timeInForce": "GTC"}, -1106),
        (MARKET | {"quantity": None}, -1102),
        (MARKET | {"positionSide": "LONG"}, -4061),
        (MARKET | {"positionSide": "UP"}, -4060),
        (MARKET | {"reduceOnly": "true"}, -2022),
    ],
)
def test_refusals_carry_the_exchanges_codes(rig: Rig, params: dict[str, object], code: int) -> None:
    given = {name: value for name, value in params.items() if value is not None}
    assert rig.call("POST /fapi/v1/order", **given) == code
    assert rig.events() == []


def test_market_order_far_from_its_counterparty_is_refused() -> None:
    rig = Rig()
    rig.add_liquidity(SELL, "1051.0", "1")
    assert rig.place("BUY", "1") == -4131


def test_client_order_id_is_free_again_after_its_order_ended(rig: Rig) -> None:
    first = rig.place("BUY", "1", "990.0", newClientOrderId="again")
    assert rig.place("BUY", "1", "990.0", newClientOrderId="again") == -4116
    rig.cancel(first["orderId"])
    second = rig.place("BUY", "1", "990.0", newClientOrderId="again")
    row = rig.call("GET /fapi/v1/order", symbol=SYMBOL, origClientOrderId="again")
    assert row["orderId"] == second["orderId"]


def test_no_more_than_two_hundred_orders_may_be_open_in_a_symbol(rig: Rig) -> None:
    for _ in range(200):
        assert isinstance(rig.place("BUY", "0.006", "990.0"), dict)
    assert rig.place("BUY", "0.006", "990.0") == -2025


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("SETTLING", -4108),
        ("PENDING_TRADING", -4108),
        ("DELIVERED", -4108),
        ("CLOSE", -4141),
        ("TRADING_HALT", -4140),
        ("NEW", -4140),
    ],
)
def test_a_contract_that_does_not_trade_takes_no_orders(rig: Rig, status: str, code: int) -> None:
    listed = rig.symbol_market.contract
    fields = {name: getattr(listed.info, name) for name in listed.info.__struct_fields__}
    halted = type(listed.info)(**(fields | {"status": ContractStatus(status)}))
    rig.symbol_market.public_data.contract_changed(Contract(halted, listed.tiers), new_brackets=False)
    assert rig.place("BUY", "1", "990.0") == code
    stop = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "BUY", "type": "STOP_MARKET", "quantity": "1"}
    assert rig.call("POST /fapi/v1/algoOrder", **stop, triggerPrice="1010.0") == code


def test_order_test_checks_everything_and_places_nothing(rig: Rig) -> None:
    assert rig.call("POST /fapi/v1/order/test", **LIMIT)["status"] == "NEW"
    assert rig.call("POST /fapi/v1/order/test", **(LIMIT | {"price": "1050.1"})) == -4016
    assert rig.events() == []
    assert rig.call("GET /fapi/v1/openOrders") == []


# -- cancelling and queries -----------------------------------------------------------------------------------------------


def test_cancel_ends_an_order_once(rig: Rig) -> None:
    order_id = rig.place("BUY", "1", "990.0")["orderId"]
    assert rig.cancel(order_id)["status"] == "CANCELED"
    assert order_events(rig.events())[-1] == ("CANCELED", "CANCELED")
    assert rig.cancel(order_id) == -2011
    assert rig.cancel(1) == -2011
    assert rig.query(1) == -2013
    assert rig.call("DELETE /fapi/v1/order", symbol=SYMBOL) == -1102
    assert rig.call("GET /fapi/v1/openOrder", symbol=SYMBOL, orderId=order_id) == -2013
    assert rig.query(order_id)["status"] == "CANCELED"


def test_no_account_can_touch_the_order_of_another(rig: Rig) -> None:
    order_id = rig.place("BUY", "1", "990.0")["orderId"]
    assert rig.cancel(order_id, account="b") == -2011
    assert rig.query(order_id, account="b") == -2013


def test_cancel_all_leaves_other_symbols_alone() -> None:
    rig = Rig(symbol_market(), symbol_market("ETHUSDT"))
    rig.place("BUY", "1", "990.0")
    rig.place("BUY", "1", "991.0")
    rig.place("BUY", "1", "990.0", symbol="ETHUSDT")
    assert rig.call("DELETE /fapi/v1/allOpenOrders", symbol=SYMBOL)["code"] == 200
    assert [row["symbol"] for row in rig.call("GET /fapi/v1/openOrders")] == ["ETHUSDT"]


def test_countdown_cancel_fires_when_it_is_not_renewed(rig: Rig) -> None:
    rig.place("BUY", "1", "990.0")
    answer = rig.call("POST /fapi/v1/countdownCancelAll", symbol=SYMBOL, countdownTime=1000)
    assert answer == {"symbol": SYMBOL, "countdownTime": "1000"}
    rig.pass_ms(900)
    rig.call("POST /fapi/v1/countdownCancelAll", symbol=SYMBOL, countdownTime=1000)
    rig.pass_ms(900)
    assert len(rig.call("GET /fapi/v1/openOrders")) == 1
    rig.pass_ms(100)
    assert rig.call("GET /fapi/v1/openOrders") == []
    rig.place("BUY", "1", "990.0")
    rig.call("POST /fapi/v1/countdownCancelAll", symbol=SYMBOL, countdownTime=50)
    rig.call("POST /fapi/v1/countdownCancelAll", symbol=SYMBOL, countdownTime=0)
    rig.pass_ms(100)
    assert len(rig.call("GET /fapi/v1/openOrders")) == 1


def test_batches_answer_each_order_for_itself(rig: Rig) -> None:
    orders = '[{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTC","quantity":"1","price":"990.0"},{"symbol":"X"}]'
    placed, refused = rig.call("POST /fapi/v1/batchOrders", batchOrders=orders)
    assert (placed["status"], refused["code"]) == ("NEW", -1102)
    changes = f'[{{"symbol":"BTCUSDT","side":"BUY","orderId":{placed["orderId"]},"quantity":"2","price":"990.0"}}]'
    assert rig.call("PUT /fapi/v1/batchOrders", batchOrders=changes)[0]["origQty"] == "2.000"
    ids = f"[{placed['orderId']},7]"
    gone, unknown = rig.call("DELETE /fapi/v1/batchOrders", symbol=SYMBOL, orderIdList=ids)
    assert (gone["status"], unknown["code"]) == ("CANCELED", -2011)
    assert rig.call("POST /fapi/v1/batchOrders", batchOrders="[" + ",".join(["{}"] * 6) + "]") == -4082
    assert rig.call("POST /fapi/v1/batchOrders", batchOrders="nonsense") == -1130
    assert rig.call("DELETE /fapi/v1/batchOrders", symbol=SYMBOL) == -1102


def test_lists_of_orders_page_by_id(rig: Rig) -> None:
    ids = [rig.place("BUY", "0.01", "990.0")["orderId"] for _ in range(5)]
    rows = rig.call("GET /fapi/v1/allOrders", symbol=SYMBOL, limit=2)
    assert [row["orderId"] for row in rows] == ids[-2:]
    rows = rig.call("GET /fapi/v1/allOrders", symbol=SYMBOL, orderId=ids[1], limit=2)
    assert [row["orderId"] for row in rows] == ids[1:3]
    assert rig.call("GET /fapi/v1/allOrders", symbol=SYMBOL, limit=1001) == -1130


def test_lists_carry_both_amounts_and_the_pair(rig: Rig) -> None:
    order_id = rig.place("BUY", "2")["orderId"]
    (row,) = rig.call("GET /fapi/v1/allOrders", symbol=SYMBOL)
    assert (row["cumQuote"], row["cumBase"], row["pair"]) == ("2000.2", "0", SYMBOL)
    (trade,) = rig.call("GET /fapi/v1/userTrades", symbol=SYMBOL)
    assert (trade["quoteQty"], trade["baseQty"], trade["pair"], trade["marginAsset"]) == ("2000.2", "0", SYMBOL, "USDT")
    for other in (rig.query(order_id), rig.place("BUY", "2")):
        assert "cumBase" not in other
        assert "pair" not in other
