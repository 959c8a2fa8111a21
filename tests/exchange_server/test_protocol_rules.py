"""Rules of protocol.md 7, 8 and 14 that no other test shows: what wins, what is echoed, what stands in an event and what not."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from coldframe.config.venue import VenueAccount
from coldframe.core.connectivity.signing import sign_api, signer_of_pem
from coldframe.enums import Side
from coldframe.exchange.endpoints.rest import Rest, RestRequest
from coldframe.exchange.endpoints.session import ApiSession
from coldframe.secret import Secret
from coldframe.wire.account import UserEvent
from coldframe.wire.api import METHODS
from coldframe.wire.codec import encode
from tests.exchange.rig import SYMBOL, Rig, symbol_market

ALGO = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "quantity": "1"}
OTHER = "ETHUSDT"
CHINESE = "币安人生USDT"


def printed(events: list[UserEvent], kind: str = "ORDER_TRADE_UPDATE") -> list[dict[str, Any]]:
    """Events of a kind as they stand on the wire."""
    every = [json.loads(encode(event)) for event in events]
    return [event for event in every if event["e"] == kind]


def orders(events: list[UserEvent]) -> list[dict[str, Any]]:
    return [event["o"] for event in printed(events)]


# -- 7: the WebSocket API -----------------------------------------------------------------------------------------------


def ask(rig: Rig, method: str, params: dict[str, Any], session: ApiSession | None = None) -> Any:
    keys = rig.keys[0]
    signer = signer_of_pem(Secret(keys.ed25519_api_key), Secret(keys.ed25519_private_pem.decode()))
    frame = {"id": 1, "method": method, "params": dict(sign_api(params, signer, rig.now_ms, 5000))}
    session = session or ApiSession(rig.exchange, rig.now_ms, shows_limits=True)
    return json.loads(session.answer(json.dumps(frame, ensure_ascii=False).encode(), rig.now_ms))


def test_the_methods_are_those_of_the_protocol() -> None:
    assert set(METHODS) == {
        "session.logon", "session.status", "session.logout", "depth", "ticker.price", "ticker.book", "order.place", "order.modify",
        "order.cancel", "order.status", "algoOrder.place", "algoOrder.cancel", "account.position", "v2/account.position",
        "account.balance", "v2/account.balance", "account.status", "v2/account.status", "userDataStream.start",
        "userDataStream.ping", "userDataStream.stop",
    }  # fmt: skip


@pytest.mark.parametrize(
    "method", ["openOrders.cancelAll", "openOrders.status", "batchOrders.place", "order.test", "userDataStream.subscribe"]
)
def test_there_is_no_method_for_many_orders(method: str) -> None:
    answer = ask(Rig(), method, {"symbol": SYMBOL})
    assert (answer["status"], answer["error"]["code"]) == (400, -1020)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_methods_have_the_weight_of_the_protocol(method: str) -> None:
    weight = METHODS[method].cost.weight({"symbol": SYMBOL, "limit": "5"})
    if method.startswith("session."):
        assert weight == 2
    elif "account." in method:
        assert weight == 5
    elif method.startswith("userDataStream."):
        assert weight == 5  # the greatest of the figures that are written down: 1, 2 and 5
    elif method in ("order.place", "order.modify", "algoOrder.place"):
        assert weight == 0
        assert (METHODS[method].cost.orders_10s, METHODS[method].cost.orders_1m) == (1, 1)


def test_a_chinese_symbol_is_signed_as_it_is_written() -> None:
    rig = Rig(symbol_market(), symbol_market(CHINESE))
    params = {"symbol": CHINESE, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "900.0"}
    answer = ask(rig, "order.place", params)
    assert (answer["status"], answer["result"]["symbol"]) == (200, CHINESE)


def test_a_session_still_needs_a_timestamp() -> None:
    rig = Rig()
    session = ApiSession(rig.exchange, rig.now_ms, shows_limits=False)
    assert ask(rig, "session.logon", {}, session)["status"] == 200
    bare = b'{"id":1,"method":"v2/account.status","params":{}}'
    stamped = b'{"id":1,"method":"v2/account.status","params":{"timestamp":%d}}' % rig.now_ms
    assert json.loads(session.answer(bare, rig.now_ms))["error"]["code"] == -1102
    assert json.loads(session.answer(stamped, rig.now_ms))["status"] == 200


# -- 7.3, 7.4: which order is meant ---------------------------------------------------------------------------------------


def test_an_order_id_wins_over_a_client_id() -> None:
    rig = Rig()
    first, second = (rig.place("BUY", "1", price, newClientOrderId=name) for price, name in (("900.0", "one"), ("901.0", "two")))
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    both = {"symbol": SYMBOL, "orderId": first["orderId"], "origClientOrderId": "two"}
    assert rig.call("GET /fapi/v1/order", **both)["clientOrderId"] == "one"  # type: ignore[index,call-overload]
    assert rig.call("GET /fapi/v1/openOrder", **both)["clientOrderId"] == "one"  # type: ignore[index,call-overload]
    changed = rig.call("PUT /fapi/v1/order", side="BUY", quantity="2", price="900.0", **both)
    assert changed["clientOrderId"] == "one"  # type: ignore[index,call-overload]
    assert rig.call("DELETE /fapi/v1/order", **both)["clientOrderId"] == "one"  # type: ignore[index,call-overload]
    assert [order.client_id for order in rig.exchange.state.books("a").open.values()] == ["two"]


def test_a_modify_id_is_echoed_and_told_as_a_text() -> None:
    rig = Rig()
    placed = rig.place("BUY", "1", "900.0")
    assert isinstance(placed, dict)
    rig.events()
    answer = rig.modify(placed["orderId"], "BUY", "1", "901.0", modifyId=77)
    again = rig.modify(placed["orderId"], "BUY", "1", "902.0")
    rig.cancel(placed["orderId"])
    assert isinstance(answer, dict)
    assert isinstance(again, dict)
    assert answer["modifyId"] == 77
    assert "modifyId" not in again
    assert [(order["x"], order.get("M")) for order in orders(rig.events())] == [
        ("AMENDMENT", "77"),
        ("AMENDMENT", None),
        ("CANCELED", None),
    ]


@pytest.mark.parametrize("how", ["filled", "canceled", "unknown"])
def test_what_is_not_on_the_book_has_a_code_for_each_call(how: str) -> None:
    rig = Rig()
    rig.book()
    order_id = 1
    if how != "unknown":
        placed = rig.place("BUY", "1", "1000.1" if how == "filled" else "900.0")
        assert isinstance(placed, dict)
        order_id = placed["orderId"]
    if how == "canceled":
        rig.cancel(order_id)
    assert rig.cancel(order_id) == -2011
    assert rig.modify(order_id, "BUY", "2", "900.0") == -2013
    found = rig.query(order_id)
    assert found == -2013 if how == "unknown" else isinstance(found, dict)


# -- 7.5: conditional orders ----------------------------------------------------------------------------------------------


def stop(rig: Rig, **more: str) -> dict[str, Any] | int:
    params = {**ALGO, "side": "BUY", "type": "STOP_MARKET", "triggerPrice": "1100.0", **more}
    return rig.call("POST /fapi/v1/algoOrder", **params)  # type: ignore[return-value]


def test_an_untriggered_order_is_unknown_to_the_ordinary_calls() -> None:
    rig = Rig()
    algo = stop(rig, clientAlgoId="waits")
    assert isinstance(algo, dict)
    by_name, by_id = {"symbol": SYMBOL, "origClientOrderId": "waits"}, {"symbol": SYMBOL, "orderId": algo["algoId"]}
    for named in (by_name, by_id):
        assert rig.call("GET /fapi/v1/order", **named) == -2013
        assert rig.call("DELETE /fapi/v1/order", **named) == -2011
        assert rig.call("PUT /fapi/v1/order", side="BUY", quantity="1", price="1000.0", **named) == -2013
    assert rig.call("GET /fapi/v1/openOrders") == []
    rig.call("DELETE /fapi/v1/allOpenOrders", symbol=SYMBOL)
    assert len(rig.call("GET /fapi/v1/openAlgoOrders")) == 1  # type: ignore[arg-type]


def test_a_trigger_makes_an_ordinary_order_with_an_id_of_its_own() -> None:
    rig = Rig()
    rig.book()
    algo = stop(rig, clientAlgoId="waits", workingType="MARK_PRICE")
    assert isinstance(algo, dict)
    (before,) = printed(rig.events(), "ALGO_UPDATE")
    rig.mark("1100.0")
    rig.add_liquidity(Side.SELL, "1100.1", "5")
    rig.pass_ms(50)
    events = rig.events()
    told = printed(events, "ALGO_UPDATE")
    ordinary = orders(events)
    assert before["o"]["ai"] == ""
    assert [event["o"]["X"] for event in told] == ["TRIGGERING", "TRIGGERED", "FINISHED"]
    assert {event["o"]["aid"] for event in told} == {algo["algoId"]}
    assert {order["i"] for order in ordinary} == {int(told[-1]["o"]["ai"])} != {algo["algoId"]}
    assert {order["c"] for order in ordinary} == {"waits"}
    row = rig.call("GET /fapi/v1/algoOrder", algoId=algo["algoId"])
    assert row["actualOrderId"] == told[-1]["o"]["ai"]  # type: ignore[index,call-overload]


def test_a_trailing_order_is_told_new_twice() -> None:
    rig = Rig()
    rig.book()
    rig.place("BUY", "1", "1000.1")
    rig.events()
    params = {**ALGO, "side": "SELL", "type": "TRAILING_STOP_MARKET", "callbackRate": "1", "activatePrice": "1050.0"}
    rig.call("POST /fapi/v1/algoOrder", workingType="MARK_PRICE", **params)
    rig.pass_ms(50)
    rig.mark("1050.0")
    rig.pass_ms(50)
    told = [(event["o"]["X"], event["o"]["ia"]) for event in printed(rig.events(), "ALGO_UPDATE")]
    assert told == [("NEW", False), ("NEW", True)]


@pytest.mark.parametrize(("rate", "code"), [("0.09", -2007), ("0.1", None), ("20", None), ("20.1", -2007), ("0", -2007)])
def test_a_callback_rate_lies_between_a_tenth_and_twenty(rate: str, code: int | None) -> None:
    params = {**ALGO, "side": "SELL", "type": "TRAILING_STOP_MARKET", "callbackRate": rate}
    answer = Rig().call("POST /fapi/v1/algoOrder", **params)
    assert (answer if isinstance(answer, int) else None) == code


# -- 8.2: what stands in events -------------------------------------------------------------------------------------------


def test_a_fee_and_a_trade_id_stand_in_reports_of_trades_only() -> None:
    rig = Rig()
    rig.book()
    rig.place("BUY", "1")
    told = orders(rig.events())
    assert [order["x"] for order in told] == ["NEW", "TRADE"]
    new, trade = told
    assert new["t"] == 0
    assert {"N", "n", "M", "AP", "cr"} & set(new) == set()
    assert trade["t"] > 0
    assert (trade["N"], Decimal(trade["n"])) == ("USDT", Decimal("1000.1") * Decimal("0.0005"))


def test_a_short_report_has_neither_sum_nor_fee() -> None:
    rig = Rig()
    rig.book()
    rig.place("BUY", "1")
    (lite,) = printed(rig.events(), "TRADE_LITE")
    assert set(lite) == {"e", "E", "T", "s", "q", "p", "m", "c", "S", "L", "l", "t", "i", "st"}


def test_an_order_without_a_fill_moves_no_account() -> None:
    rig = Rig()
    placed = rig.place("BUY", "1", "900.0")
    assert isinstance(placed, dict)
    rig.modify(placed["orderId"], "BUY", "2", "900.0")
    rig.cancel(placed["orderId"])
    assert printed(rig.events(), "ACCOUNT_UPDATE") == []


@pytest.mark.parametrize("hedge", [False, True])
def test_an_account_update_names_the_touched_symbol_alone(hedge: bool) -> None:
    rig = Rig(symbol_market(), symbol_market(OTHER), accounts=(VenueAccount(name="a", hedge_mode=hedge),))
    rig.book()
    rig.add_liquidity(Side.SELL, "1000.1", "100", OTHER)
    side = {"positionSide": "LONG"} if hedge else {}
    rig.place("BUY", "1", **side)
    rig.events()
    rig.place("BUY", "2", symbol=OTHER, **side)
    (update,) = printed(rig.events(), "ACCOUNT_UPDATE")
    rows = update["a"]["P"]
    assert {row["s"] for row in rows} == {OTHER}
    assert {row["ps"]: row["pa"] for row in rows} in ({"BOTH": "2"}, {"LONG": "2", "SHORT": "0"}, {"LONG": "2"})
    assert [row["a"] for row in update["a"]["B"]] == ["USDT"]


@pytest.mark.parametrize("isolated", [False, True])
def test_funding_names_a_position_only_where_it_is_isolated(isolated: bool) -> None:
    rig = Rig()
    if isolated:
        rig.call("POST /fapi/v1/marginType", symbol=SYMBOL, marginType="ISOLATED")
    rig.book()
    rig.place("BUY", "1")
    rig.exchange.advance(rig.now_ms)
    rig.events()
    rig.pass_ms(28_800_000)
    (update,) = printed(rig.events(), "ACCOUNT_UPDATE")
    change = update["a"]
    assert (change["m"], change["S"], [row["a"] for row in change["B"]]) == ("FUNDING_FEE", SYMBOL, ["USDT"])
    assert [row["s"] for row in change.get("P", [])] == ([SYMBOL] if isolated else [])
    assert update["T"] % 28_800_000 == 0


def test_settings_are_told_but_for_the_position_mode() -> None:
    rig = Rig()
    rig.call("POST /fapi/v1/leverage", symbol=SYMBOL, leverage=7)
    rig.call("POST /fapi/v1/multiAssetsMargin", multiAssetsMargin="true")
    rig.call("POST /fapi/v1/positionSide/dual", dualSidePosition="true")
    events = printed(rig.events(), "ACCOUNT_CONFIG_UPDATE")
    told = [{name: event[name] for name in ("ac", "ai") if name in event} for event in events]
    assert told == [{"ac": {"s": SYMBOL, "l": 7}}, {"ai": {"j": True}}]


def test_a_liquidation_is_told_by_its_prefix_and_its_reason() -> None:
    rig = Rig(accounts=(VenueAccount(name="a", balance=Decimal(100), leverage=100),))
    rig.book(quantity="5")
    rig.place("BUY", "5")
    rig.place("BUY", "0.1", "950.0")
    rig.events()
    rig.mark("979.0")
    rig.pass_ms(1000)
    told = orders(rig.events())
    assert (told[0]["X"], told[0]["er"]) == ("CANCELED", "5")
    closing = [order for order in told if order["c"].startswith("autoclose-")]
    assert {order["x"] for order in closing} == {"NEW", "CALCULATED"}


# -- 14: what clients of 2026 send and ask ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["quantity", "price"])
@pytest.mark.parametrize("number", ["1e-07", "2E-2", "1e3", "0x10", "1_000", "NaN", "Infinity", "+1", ".", "1,5", "١"])
def test_a_number_is_written_plainly_or_refused(name: str, number: str) -> None:
    params = {
        "symbol": SYMBOL,
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "1",
        "price": "900.0",
        name: number,
    }
    assert Rig().call("POST /fapi/v1/order", **params) == -1100


@pytest.mark.parametrize("path", ["income/asyn", "order/asyn", "trade/asyn", "income/asyn/id", "pmAccountInfo"])
def test_what_is_not_served_is_no_path(path: str) -> None:
    answer = Rest(Rig().exchange).answer(RestRequest("GET", f"/fapi/v1/{path}", b"", {}, b""), 0)
    body = msgspec.json.decode(answer.body)
    assert (answer.status, body["code"]) == (404, -5000)
    assert path in body["msg"]


def test_candles_leave_out_periods_without_a_trade() -> None:
    rig = Rig()
    for minute in (0, 1, 5):
        rig.now_ms += minute * 60_000
        rig.book()
        rig.place("BUY", "1")
        rig.now_ms -= minute * 60_000
    start = rig.now_ms // 60_000 * 60_000
    for name in ("klines", "continuousKlines"):
        asked = {"symbol": SYMBOL} if name == "klines" else {"pair": SYMBOL, "contractType": "PERPETUAL"}
        rows = rig.call(f"GET /fapi/v1/{name}", interval="1m", **asked)
        assert [(row[0] - start) // 60_000 for row in rows] == [0, 1, 5]  # type: ignore[union-attr]
