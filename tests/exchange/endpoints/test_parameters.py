"""A parameter that a call declares counts or is refused: one table, walked over every call and each of its parameters.

An experiment makes the same call twice in equal worlds, once with another value of one parameter. Answer or world must differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, get_args

import msgspec
import pytest

from coldframe.config.venue import VenueAccount
from coldframe.enums import OpenEnum, OrderStatus, OrderType, PositionSide, Side, TimeInForce
from coldframe.exchange.market.public_market_data import Component
from coldframe.exchange.trading.entities import Order
from coldframe.wire.api import METHODS, Security
from coldframe.wire.codec import encode
from coldframe.wire.requests import Amount, ClientId, Request
from coldframe.wire.rest import ENDPOINTS
from tests.exchange.rig import START_MS, SYMBOL, Rig, symbol_market

OTHER = "ETHUSDT"
HOUR = 3_600_000
LATE, EARLY = START_MS + 1000 * HOUR, START_MS - 1
CALLS = {f"{verb} {path}": endpoint.request for (verb, path), endpoint in ENDPOINTS.items()}

Params = dict[str, Any]


# -- the world ----------------------------------------------------------------------------------------------------------


def world() -> Rig:
    """Two contracts, positions in both, one of them isolated, resting and conditional orders, and a past of three hours."""
    accounts = (VenueAccount(name="a", balance=Decimal(100_000)), VenueAccount(name="b", balance=Decimal(100_000)))
    rig = Rig(symbol_market(SYMBOL), symbol_market(OTHER), accounts=accounts, funding_interval_s=3600)
    for made in rig.markets.values():
        made.public_data.prices.interval_ms = HOUR
    rig.markets[SYMBOL].public_data.components = (Component("AAVE", Decimal(1), Decimal(1), Decimal(1000)),)
    rig.call("POST /fapi/v1/marginType", symbol=OTHER, marginType="ISOLATED")
    for symbol in rig.markets:
        rig.add_liquidity(Side.BUY, "999.9", "100", symbol)
        rig.add_liquidity(Side.SELL, "1000.1" if symbol == SYMBOL else "1000.2", "100", symbol)
    for _ in range(3):
        rig.pass_ms(HOUR)
        _hour(rig)
    for number, prefix in enumerate(("autoclose-1", "adl_autoclose", "autoclose-2")):
        rig.exchange.store.note(_forced(prefix, number, rig.now_ms - HOUR))
    return rig


def _hour(rig: Rig) -> None:
    hour = (rig.now_ms - START_MS) // HOUR
    for symbol in rig.markets:
        rig.place("BUY", "1", symbol=symbol)
        rig.public_takes(Side.SELL, "0.5" if symbol == SYMBOL else "0.7", "999.9", symbol)
        resting = rig.place("BUY", "1", f"99{hour}.0", symbol=symbol, newClientOrderId=f"{symbol}-{hour}")
        rig.modify(resting["orderId"], "BUY", "2", f"99{hour}.0", symbol=symbol)  # type: ignore[index]
        stop = {"algoType": "CONDITIONAL", "symbol": symbol, "side": "BUY", "type": "STOP_MARKET", "triggerPrice": "1050.0"}
        rig.call("POST /fapi/v1/algoOrder", quantity="1", clientAlgoId=f"{symbol}-{hour}", **stop)
    rig.call("POST /fapi/v1/positionMargin", symbol=OTHER, amount="5", type=1 + hour % 2)
    rig.exchange.streams.tick(rig.now_ms)


def _forced(prefix: str, number: int, at_ms: int) -> Order:
    return Order(
        order_id=number + 1,
        account="a",
        symbol=SYMBOL if number < 2 else OTHER,
        client_id=prefix,
        side=Side.SELL,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.IOC,
        position_side=PositionSide.BOTH,
        price=Decimal(1000),
        quantity=Decimal(1),
        filled=Decimal(1),
        status=OrderStatus.FILLED,
        created_ms=at_ms,
        updated_ms=at_ms,
    )


@cache
def ids() -> Params:
    """The ids of the world's orders, which are the same in every one of them."""
    rig = world()
    orders = rig.call("GET /fapi/v1/openOrders", symbol=SYMBOL)
    algos = rig.call("GET /fapi/v1/openAlgoOrders", symbol=SYMBOL)
    trades = rig.call("GET /fapi/v1/userTrades", symbol=SYMBOL)
    public_trades = rig.call("GET /fapi/v1/trades", symbol=SYMBOL)
    aggregates = rig.call("GET /fapi/v1/aggTrades", symbol=SYMBOL)
    return {
        "order": orders[0]["orderId"],  # type: ignore[index]
        "next order": orders[1]["orderId"],  # type: ignore[index]
        "algo": algos[0]["algoId"],  # type: ignore[index]
        "next algo": algos[1]["algoId"],  # type: ignore[index]
        "trade": trades[-1]["id"],  # type: ignore[index]
        "traded order": trades[0]["orderId"],  # type: ignore[index]
        "print": public_trades[-1]["id"],  # type: ignore[index]
        "aggregate": aggregates[-1]["a"],  # type: ignore[index]
    }


def outcome(call: str, params: Params) -> tuple[object, bytes]:
    """What a call answers in a new world, and how it leaves the account: each call is made once."""
    key = f"{call} {params}"
    if key not in _OUTCOMES:
        _OUTCOMES[key] = _carried_out(call, params)
    return _OUTCOMES[key]


_OUTCOMES: dict[str, tuple[object, bytes]] = {}


def _carried_out(call: str, params: Params) -> tuple[object, bytes]:
    rig = world()
    told = {name: ids()[value.text] if isinstance(value, Known) else value for name, value in params.items()}
    answer = rig.call(call, **told)
    rig.exchange.advance(rig.now_ms + 30)
    books = rig.exchange.state.books("a")
    left = (books.account, list(books.open.values()), list(books.open_algos.values()), rig.exchange.listen_keys.key_of("a"))
    return answer, msgspec.json.encode(left)


class Known:
    """An id that is looked up in the world."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


# -- the table ------------------------------------------------------------------------------------------------------------

LIMIT = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "980.0"}
MARKET = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "1"}
DATED = {**LIMIT, "timeInForce": "GTD", "goodTillDate": START_MS + 10 * HOUR}
ALGO = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "quantity": "1"}
STOP = {**ALGO, "side": "BUY", "type": "STOP_MARKET", "triggerPrice": "1040.0"}
TRAILING = {**ALGO, "side": "SELL", "type": "TRAILING_STOP_MARKET"}
MODIFY = {"symbol": SYMBOL, "orderId": Known("order"), "side": "BUY", "quantity": "1", "price": "980.0"}
BATCH = [LIMIT, {**LIMIT, "price": "981.0"}]

#: What a call needs to be answered.
NEEDED: dict[str, Params] = {
    "GET /fapi/v1/klines": {"interval": "1m"},
    "GET /fapi/v1/markPriceKlines": {"interval": "1m"},
    "GET /fapi/v1/premiumIndexKlines": {"interval": "1m"},
    "GET /fapi/v1/continuousKlines": {"pair": SYMBOL, "contractType": "PERPETUAL", "interval": "1m"},
    "GET /fapi/v1/indexPriceKlines": {"pair": SYMBOL, "interval": "1m"},
    **{call: {"period": "1h"} for call in CALLS if "/futures/data/" in call},
    "GET /futures/data/basis": {"pair": SYMBOL, "contractType": "PERPETUAL", "period": "1h"},
    "GET /futures/data/delivery-price": {"pair": SYMBOL},
    "POST /fapi/v1/order": LIMIT,
    "POST /fapi/v1/order/test": LIMIT,
    "PUT /fapi/v1/order": MODIFY,
    "DELETE /fapi/v1/order": {"symbol": SYMBOL, "orderId": Known("order")},
    "GET /fapi/v1/order": {"symbol": SYMBOL, "orderId": Known("order")},
    "GET /fapi/v1/openOrder": {"symbol": SYMBOL, "orderId": Known("order")},
    "POST /fapi/v1/batchOrders": {"batchOrders": json.dumps(BATCH)},
    "PUT /fapi/v1/batchOrders": {"batchOrders": json.dumps([])},
    "DELETE /fapi/v1/batchOrders": {"symbol": SYMBOL, "origClientOrderIdList": json.dumps([f"{SYMBOL}-1"])},
    "POST /fapi/v1/countdownCancelAll": {"symbol": SYMBOL, "countdownTime": 0},
    "POST /fapi/v1/algoOrder": STOP,
    "DELETE /fapi/v1/algoOrder": {"algoId": Known("algo")},
    "GET /fapi/v1/algoOrder": {"algoId": Known("algo")},
    "GET /fapi/v1/positionMargin/history": {"symbol": OTHER},
    "POST /fapi/v1/leverage": {"symbol": SYMBOL, "leverage": 10},
    "POST /fapi/v1/marginType": {"symbol": SYMBOL, "marginType": "CROSSED"},
    "POST /fapi/v1/positionMargin": {"symbol": OTHER, "amount": "3", "type": 1},
    "POST /fapi/v1/positionSide/dual": {"dualSidePosition": "false"},
    "POST /fapi/v1/multiAssetsMargin": {"multiAssetsMargin": "false"},
    "POST /fapi/v1/feeBurn": {"feeBurn": "false"},
}
#: Another value for a parameter, by its name; what it is compared with is the call as it needs to be.
ANOTHER: Params = {
    "symbol": OTHER,
    "pair": OTHER,
    "limit": 1,
    "startTime": LATE,
    "endTime": EARLY,
    "interval": "1h",
    "period": "15m",
    "contractType": "NEXT_QUARTER",
    "side": "SELL",
    "type": "MARKET",
    "positionSide": "LONG",
    "timeInForce": "GTX",
    "quantity": "2",
    "price": "981.0",
    "reduceOnly": "true",
    "newClientOrderId": "mine",
    "priceMatch": "QUEUE",
    "selfTradePreventionMode": "EXPIRE_TAKER",
    "goodTillDate": START_MS + 11 * HOUR,
    "orderId": Known("next order"),
    "origClientOrderId": f"{SYMBOL}-2",
    "modifyId": 7,
    "algoId": Known("next algo"),
    "clientAlgoId": "mine",
    "algoType": "VP",
    "triggerPrice": "1041.0",
    "workingType": "MARK_PRICE",
    "closePosition": "true",
    "priceProtect": "true",
    "incomeType": "FUNDING_FEE",
    "autoCloseType": "ADL",
    "leverage": 11,
    "marginType": "ISOLATED",
    "amount": "4",
    "dualSidePosition": "true",
    "multiAssetsMargin": "true",
    "countdownTime": 1,
    "fromId": Known("trade"),
    "feeBurn": "true",
}
#: Where the pair of calls has to be another one: call and parameter, the one call, what the other one says instead.
PAIRS: dict[tuple[str, str], tuple[Params, Params]] = {
    ("GET /fapi/v1/depth", "limit"): ({"symbol": SYMBOL}, {"limit": 7}),
    ("GET /fapi/v1/rpiDepth", "limit"): ({"symbol": SYMBOL}, {"limit": 5}),
    ("GET /fapi/v1/historicalTrades", "fromId"): ({"symbol": SYMBOL}, {"fromId": Known("print")}),
    ("GET /fapi/v1/aggTrades", "fromId"): ({"symbol": SYMBOL}, {"fromId": Known("aggregate")}),
    ("GET /fapi/v1/aggTrades", "startTime"): ({"symbol": SYMBOL}, {"startTime": 1}),
    ("GET /fapi/v1/userTrades", "orderId"): ({"symbol": SYMBOL}, {"orderId": Known("traded order")}),
    ("GET /futures/data/delivery-price", "pair"): ({"pair": SYMBOL}, {"pair": "NOSUCH"}),
    ("GET /fapi/v1/assetIndex", "symbol"): ({}, {"symbol": "BTCUSD"}),
    ("POST /fapi/v1/order", "newOrderRespType"): (MARKET, {"newOrderRespType": "RESULT"}),
    ("POST /fapi/v1/order", "goodTillDate"): (DATED, {"goodTillDate": START_MS + 11 * HOUR}),
    ("POST /fapi/v1/algoOrder", "type"): (STOP, {"type": "TAKE_PROFIT_MARKET"}),
    ("POST /fapi/v1/algoOrder", "timeInForce"): (STOP, {"timeInForce": "FOK"}),
    ("POST /fapi/v1/algoOrder", "price"): ({**STOP, "type": "STOP", "price": "1041.0"}, {"price": "1042.0"}),
    ("POST /fapi/v1/algoOrder", "priceMatch"): ({**STOP, "type": "STOP", "price": "1041.0"}, {"priceMatch": "QUEUE"}),
    ("POST /fapi/v1/algoOrder", "callbackRate"): ({**TRAILING, "callbackRate": "1"}, {"callbackRate": "2"}),
    ("POST /fapi/v1/algoOrder", "activatePrice"): ({**TRAILING, "callbackRate": "1"}, {"activatePrice": "1100.0"}),
    ("POST /fapi/v1/algoOrder", "goodTillDate"): (STOP, {"goodTillDate": START_MS + 11 * HOUR}),
    ("POST /fapi/v1/batchOrders", "batchOrders"): ({"batchOrders": json.dumps(BATCH)}, {"batchOrders": json.dumps(BATCH[:1])}),
    ("PUT /fapi/v1/batchOrders", "batchOrders"): ({"batchOrders": json.dumps([])}, {"batchOrders": json.dumps([LIMIT])}),
    ("DELETE /fapi/v1/batchOrders", "orderIdList"): ({"symbol": SYMBOL, "orderIdList": "[1]"}, {"orderIdList": "[2,3]"}),
    ("DELETE /fapi/v1/batchOrders", "origClientOrderIdList"): (
        {"symbol": SYMBOL, "origClientOrderIdList": '["x"]'},
        {"origClientOrderIdList": '["x","y"]'},
    ),
    ("POST /fapi/v1/countdownCancelAll", "symbol"): (
        {"symbol": SYMBOL, "countdownTime": 1},
        {"symbol": OTHER},
    ),
    ("GET /fapi/v1/positionMargin/history", "type"): ({"symbol": OTHER}, {"type": 2}),
    ("GET /fapi/v1/positionMargin/history", "symbol"): ({"symbol": OTHER}, {"symbol": SYMBOL}),
    ("POST /fapi/v1/positionMargin", "symbol"): ({"symbol": OTHER, "amount": "3", "type": 1}, {"symbol": SYMBOL}),
    ("POST /fapi/v1/positionMargin", "type"): ({"symbol": OTHER, "amount": "3", "type": 1}, {"type": 2}),
    ("POST /fapi/v1/marginType", "symbol"): ({"symbol": SYMBOL, "marginType": "CROSSED"}, {"symbol": OTHER}),
    **{
        (f"{verb} /fapi/v1/{path}", "origClientOrderId"): ({"symbol": SYMBOL, "origClientOrderId": f"{SYMBOL}-1"}, {})
        for verb, path in (("GET", "order"), ("DELETE", "order"), ("GET", "openOrder"))
    },
    ("PUT /fapi/v1/order", "origClientOrderId"): (
        {**{name: value for name, value in MODIFY.items() if name != "orderId"}, "origClientOrderId": f"{SYMBOL}-1"},
        {},
    ),
    **{
        (f"{verb} /fapi/v1/algoOrder", "clientAlgoId"): ({"clientAlgoId": f"{SYMBOL}-1"}, {"clientAlgoId": f"{SYMBOL}-2"})
        for verb in ("GET", "DELETE")
    },
}
#: Parameters that only their check shows: a legal value changes nothing here, and why.
ONLY_CHECKED = {
    ("POST /fapi/v1/order/test", "newOrderRespType"): "nothing is placed, so there is no result to tell",
    ("POST /fapi/v1/algoOrder", "newOrderRespType"): "a conditional order has no result before its trigger",
    ("GET /fapi/v1/apiTradingStatus", "symbol"): "no indicator is ever triggered here",
}


def experiments() -> Iterator[tuple[str, str]]:
    for call, request in CALLS.items():
        yield from ((call, field.encode_name) for field in msgspec.structs.fields(request))


def pair(call: str, name: str) -> tuple[Params, Params]:
    """The parameters of the two calls of an experiment."""
    if (call, name) in PAIRS:
        params, change = PAIRS[(call, name)]
        return params, {**params, **(change or {name: ANOTHER[name]})}
    fields = {field.encode_name: field for field in msgspec.structs.fields(CALLS[call])}
    needed = dict(NEEDED.get(call, {}))
    if "symbol" in fields and "symbol" not in needed and (fields["symbol"].required or name != "symbol"):
        needed["symbol"] = SYMBOL
    return needed, {**needed, name: ANOTHER.get(name)}


@pytest.mark.parametrize(("call", "name"), list(experiments()))
def test_a_declared_parameter_counts_or_is_refused(call: str, name: str) -> None:
    if (call, name) in ONLY_CHECKED:
        return
    params, other = pair(call, name)
    assert outcome(call, params) != outcome(call, other), f"{call} ignores {name}"


# -- and what is malformed ------------------------------------------------------------------------------------------------


def nonsense(annotation: Any) -> str:
    """A text that no value of this kind may have."""
    kinds = get_args(annotation) or (annotation,)
    if annotation == Amount or Amount in kinds:
        return "1e5"
    if annotation == ClientId or ClientId in kinds:
        return "no good id"
    if any(isinstance(kind, type) and issubclass(kind, OpenEnum) for kind in kinds):
        return "PERHAPS"
    return "perhaps"


#: Texts that may be anything: an id that nothing carries finds nothing.
FREE = {"origClientOrderId", "clientAlgoId"}


@pytest.mark.parametrize(("call", "name"), list(experiments()))
def test_a_malformed_parameter_is_refused(call: str, name: str) -> None:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(CALLS[call])}
    params, _ = pair(call, name)
    bare = {key: value for key, value in params.items() if name not in FREE or key not in ("orderId", "algoId")}
    answer, _ = outcome(call, {**bare, name: nonsense(fields[name])})
    rows = answer if isinstance(answer, list) else [answer]
    assert all(isinstance(row, int) or "code" in row for row in rows), f"{call} takes {name}={nonsense(fields[name])}"


# -- the same on both ways ---------------------------------------------------------------------------------------------------

TWINS = {
    "order.place": "POST /fapi/v1/order",
    "order.modify": "PUT /fapi/v1/order",
    "order.cancel": "DELETE /fapi/v1/order",
    "order.status": "GET /fapi/v1/order",
    "algoOrder.place": "POST /fapi/v1/algoOrder",
    "algoOrder.cancel": "DELETE /fapi/v1/algoOrder",
    "depth": "GET /fapi/v1/depth",
    "ticker.price": "GET /fapi/v2/ticker/price",
    "ticker.book": "GET /fapi/v1/ticker/bookTicker",
}


def test_the_websocket_api_takes_the_same_parameters() -> None:
    for name, method in METHODS.items():
        fields: Mapping[str, object] = {field.encode_name: field for field in msgspec.structs.fields(method.request)}
        assert method.request is CALLS[TWINS[name]] if name in TWINS else not fields
        assert issubclass(method.request, Request)
        assert method.security is not Security.NONE or name.startswith(("session", "depth", "ticker"))


def test_answers_can_be_compared() -> None:
    """Equal calls have equal outcomes, or the experiments would prove nothing."""
    for call in ("POST /fapi/v1/order", "POST /fapi/v1/algoOrder", "GET /fapi/v1/income"):
        assert encode(outcome(call, pair(call, "symbol")[0])) == encode(outcome(call, pair(call, "symbol")[0]))
