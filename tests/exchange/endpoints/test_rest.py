"""REST without sockets: routing, limits, keys, headers; and every endpoint answers in the exchange's shape."""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal
from urllib.parse import urlencode

import msgspec
import pytest

from coldframe.config.venue import VenueFaults, VenueLimits
from coldframe.enums import Side
from coldframe.exchange.endpoints import rest as rest_module
from coldframe.exchange.endpoints.rest import Rest, RestAnswer, RestRequest
from coldframe.wire import reference, replies
from coldframe.wire.codec import Census, decode, decode_list
from coldframe.wire.rest import ENDPOINTS
from tests.exchange.rig import SYMBOL, Rig


class Bench:
    """REST over a rig, with signing."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.rest = Rest(rig.exchange)

    def send(self, name: str, params: dict[str, object] | None = None, *, key: bool = True, sign: bool = True) -> RestAnswer:
        verb, path = name.split(" ")
        keys = self.rig.keys[0]
        given = dict(params or {})
        if sign:
            given["timestamp"] = self.rig.now_ms
        query = urlencode(given)
        if sign:
            query += "&signature=" + hmac.new(keys.hmac_secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        headers = {"x-mbx-apikey": keys.hmac_api_key} if key else {}
        return self.rest.answer(RestRequest(verb, path, query.encode(), headers, b""), self.rig.now_ms)

    def fault(self, *args: object, **more: object) -> tuple[int, int]:
        answer = self.send(*args, **more)  # type: ignore[arg-type]
        return answer.status, msgspec.json.decode(answer.body)["code"]


@pytest.fixture
def bench() -> Bench:
    rig = Rig()
    rig.book()
    rig.place("BUY", "1")
    rig.place("BUY", "1", "990.0")
    rig.public_takes(Side.BUY, "1", "1000.1")
    rig.exchange.streams.tick(rig.now_ms + 500)
    return Bench(rig)


def test_every_endpoint_has_a_call_and_no_call_lacks_an_endpoint() -> None:
    assert set(rest_module._CALLS) == {f"{verb} {path}" for verb, path in ENDPOINTS}


def test_unknown_paths_and_verbs_are_not_found(bench: Bench) -> None:
    assert bench.fault("GET /fapi/v1/nothing") == (404, -5000)
    assert bench.fault("PATCH /fapi/v1/order") == (404, -5000)


def test_the_weight_stands_on_every_answer(bench: Bench) -> None:
    weights = [
        dict(bench.send(name, key=False, sign=False).headers)["x-mbx-used-weight-1m"]
        for name in ("GET /fapi/v1/ping", "GET /fapi/v1/nothing", "GET /fapi/v1/exchangeInfo", "POST /fapi/v1/order")
    ]
    assert weights == ["1", "1", "2", "2"]


def test_order_counts_stand_on_order_answers(bench: Bench) -> None:
    params = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "990.0"}
    headers = dict(bench.send("POST /fapi/v1/order", params).headers)
    assert (headers["x-mbx-order-count-10s"], headers["x-mbx-order-count-1m"]) == ("1", "1")
    headers = dict(bench.send("POST /fapi/v1/order", params | {"price": "0"}).headers)
    assert headers["x-mbx-order-count-10s"] == "2"
    assert "x-mbx-order-count-10s" not in dict(bench.send("GET /fapi/v1/openOrders").headers)


def test_keys_and_signatures_are_demanded_where_they_belong(bench: Bench) -> None:
    assert bench.send("GET /fapi/v1/time", key=False, sign=False).status == 200
    assert bench.fault("POST /fapi/v1/listenKey", key=False, sign=False) == (401, -2014)
    assert bench.send("POST /fapi/v1/listenKey", sign=False).status == 200
    assert bench.fault("GET /fapi/v3/account", sign=False) == (400, -1102)
    assert bench.fault("GET /fapi/v3/account", {"signature": "00", "timestamp": bench.rig.now_ms}, sign=False) == (400, -1022)
    assert bench.send("GET /fapi/v3/account").status == 200


def test_a_query_wins_over_the_body() -> None:
    request = RestRequest("POST", "/x", b"a=query", {}, b"a=body&b=2")
    assert request.params == {"a": "query", "b": "2"}


def test_too_much_weight_is_429_and_then_418() -> None:
    rig = Rig(limits=VenueLimits(weight_1m=4))
    rig.book()
    bench = Bench(rig)
    statuses = [bench.send("GET /fapi/v1/time", key=False, sign=False).status for _ in range(8)]
    assert statuses == [200, 200, 200, 200, 429, 429, 418, 418]
    answer = bench.send("GET /fapi/v1/time", key=False, sign=False)
    assert dict(answer.headers)["retry-after"] == "120"
    assert b"IP banned until" in answer.body


def test_a_venue_may_be_banned_from_the_start() -> None:
    rig = Rig(faults=VenueFaults(banned_for_s=5))
    bench = Bench(rig)
    assert bench.fault("GET /fapi/v1/time", key=False, sign=False) == (418, -1003)
    rig.now_ms += 5000
    assert bench.send("GET /fapi/v1/time", key=False, sign=False).status == 200


#: What each call answers: the class of its object or of its rows, and parameters it needs. Bodies without a class are left out.
_SHAPES: dict[str, tuple[type, dict[str, object]]] = {
    "GET /fapi/v1/time": (reference.ServerTime, {}),
    "GET /fapi/v1/exchangeInfo": (reference.ExchangeInfo, {}),
    "GET /fapi/v1/depth": (reference.Depth, {"symbol": SYMBOL, "limit": 5}),
    "GET /fapi/v1/rpiDepth": (reference.Depth, {"symbol": SYMBOL}),
    "GET /fapi/v1/trades": (reference.PublicTrade, {"symbol": SYMBOL}),
    "GET /fapi/v1/historicalTrades": (reference.PublicTrade, {"symbol": SYMBOL}),
    "GET /fapi/v1/aggTrades": (reference.AggTradeRow, {"symbol": SYMBOL}),
    "GET /fapi/v1/premiumIndex": (reference.PremiumIndex, {}),
    "GET /fapi/v1/openInterest": (reference.OpenInterest, {"symbol": SYMBOL}),
    "GET /fapi/v1/ticker/24hr": (reference.DayTicker, {"symbol": SYMBOL}),
    "GET /fapi/v1/ticker/price": (reference.PriceTicker, {}),
    "GET /fapi/v2/ticker/price": (reference.PriceTicker, {"symbol": SYMBOL}),
    "GET /fapi/v1/ticker/bookTicker": (reference.BestTicker, {}),
    "POST /fapi/v1/listenKey": (replies.ListenKey, {}),
    "PUT /fapi/v1/listenKey": (replies.ListenKey, {}),
    "GET /fapi/v1/openOrders": (replies.OrderReply, {}),
    "GET /fapi/v1/allOrders": (replies.OrderReply, {"symbol": SYMBOL}),
    "GET /fapi/v1/userTrades": (replies.UserTrade, {"symbol": SYMBOL}),
    "GET /fapi/v2/positionRisk": (replies.PositionRow, {}),
    "GET /fapi/v3/positionRisk": (replies.PositionRow, {}),
    "GET /fapi/v2/balance": (replies.BalanceRow, {}),
    "GET /fapi/v3/balance": (replies.BalanceRow, {}),
    "GET /fapi/v2/account": (replies.AccountStatus, {}),
    "GET /fapi/v3/account": (replies.AccountStatus, {}),
    "GET /fapi/v1/accountConfig": (replies.AccountConfig, {}),
    "GET /fapi/v1/symbolConfig": (replies.SymbolConfig, {}),
    "GET /fapi/v1/commissionRate": (replies.CommissionRate, {"symbol": SYMBOL}),
    "GET /fapi/v1/leverageBracket": (reference.LeverageTiers, {}),
    "GET /fapi/v1/rateLimit/order": (reference.RateLimit, {}),
    "GET /fapi/v1/income": (replies.Income, {}),
    "POST /fapi/v1/leverage": (replies.LeverageReply, {"symbol": SYMBOL, "leverage": 5}),
    "GET /fapi/v1/positionSide/dual": (replies.PositionMode, {}),
    "GET /fapi/v1/multiAssetsMargin": (replies.AssetMode, {}),
}


@pytest.mark.parametrize("name", _SHAPES)
def test_answers_hold_nothing_that_their_class_does_not_know(bench: Bench, name: str) -> None:
    bench.rig.exchange.listen_keys.start("a", bench.rig.now_ms)
    kind, params = _SHAPES[name]
    answer = bench.send(name, params)
    assert answer.status == 200, answer.body
    census = Census()
    rows = decode_list(kind, answer.body, census) if answer.body.startswith(b"[") else [decode(kind, answer.body, census)]
    assert rows
    assert census.unknown == {}


@pytest.mark.parametrize(
    ("name", "params", "keys"),
    [
        ("GET /fapi/v1/ping", {}, set()),
        ("GET /fapi/v1/fundingInfo", {}, None),
        ("GET /fapi/v1/assetIndex", {"symbol": "BTCUSD"}, {"symbol", "time", "index", "bidBuffer", "bidRate"}),
        ("GET /fapi/v1/constituents", {"symbol": SYMBOL}, {"symbol", "time", "constituents"}),
        ("GET /fapi/v1/insuranceBalance", {"symbol": SYMBOL}, {"symbols", "assets"}),
        ("GET /fapi/v1/symbolAdlRisk", {"symbol": SYMBOL}, {"symbol", "adlRisk", "updateTime"}),
        ("GET /fapi/v1/tradingSchedule", {}, {"updateTime", "marketSchedules"}),
        ("GET /fapi/v1/apiTradingStatus", {}, {"indicators", "updateTime"}),
        ("GET /fapi/v1/feeBurn", {}, {"feeBurn"}),
        ("POST /fapi/v1/stock/contract", {}, {"code", "msg"}),
        ("DELETE /fapi/v1/allOpenOrders", {"symbol": SYMBOL}, {"code", "msg"}),
    ],
)
def test_bodies_without_a_class(bench: Bench, name: str, params: dict[str, object], keys: set[str] | None) -> None:
    body = msgspec.json.decode(bench.send(name, params).body)
    if keys is not None:
        assert keys <= set(body)
    else:
        assert body == []


def test_candles_are_rows_of_twelve(bench: Bench) -> None:
    (row,) = msgspec.json.decode(bench.send("GET /fapi/v1/klines", {"symbol": SYMBOL, "interval": "1m"}).body)
    assert [type(cell).__name__ for cell in row] == ["int", *["str"] * 5, "int", "str", "int", "str", "str", "str"]
    assert (row[1], row[4], row[8]) == ("1000.1", "1000.1", 2)
    pair = {"pair": SYMBOL, "contractType": "PERPETUAL", "interval": "1h"}
    assert len(msgspec.json.decode(bench.send("GET /fapi/v1/continuousKlines", pair).body)) == 1


def test_the_weighted_average_has_the_digits_of_a_price(bench: Bench) -> None:
    bench.rig.public_takes(Side.SELL, "1.3", "999.9")
    row = msgspec.json.decode(bench.send("GET /fapi/v1/ticker/24hr", {"symbol": SYMBOL}).body)
    assert row["weightedAvgPrice"] == "1000.0"
    assert (row["highPrice"], row["lowPrice"]) == ("1000.1", "999.9")


def test_premium_candles_are_of_the_mark_over_the_index(bench: Bench) -> None:
    prices, seen = bench.rig.symbol_market.public_data.prices, []
    minute_ms = -bench.rig.now_ms % 60_000
    for second in range(60):
        prices.set_mark(Decimal(1000) + Decimal(second % 7 - 3) / 10)
        bench.rig.exchange.streams.tick(bench.rig.now_ms + minute_ms + second * 1000)
        seen.append(((prices.mark - prices.index) / prices.index).quantize(Decimal("0.00000001")))
    row = msgspec.json.decode(bench.send("GET /fapi/v1/premiumIndexKlines", {"symbol": SYMBOL, "interval": "1m"}).body)[-1]
    assert row[0] == bench.rig.now_ms + minute_ms
    assert [Decimal(text) for text in row[1:5]] == [seen[0], max(seen), min(seen), seen[-1]]
    assert min(seen) < 0 < max(seen)
    assert row[5:] == ["0", row[0] + 59_999, "0", 60, "0", "0", "0"]
    mark = bench.send("GET /fapi/v1/markPriceKlines", {"symbol": SYMBOL, "interval": "1m"})
    assert msgspec.json.decode(mark.body)[0][1] == "1000.1"


@pytest.mark.parametrize(
    ("name", "params", "code"),
    [
        ("GET /fapi/v1/depth", {"symbol": "NOSUCH"}, -1121),
        ("GET /fapi/v1/depth", {}, -1102),
        ("GET /fapi/v1/depth", {"symbol": SYMBOL, "limit": 7}, -4021),
        ("GET /fapi/v1/klines", {"symbol": SYMBOL, "interval": "1s"}, -1120),
        ("GET /fapi/v1/klines", {"symbol": SYMBOL, "interval": "1m", "limit": 1501}, -1130),
        ("GET /fapi/v1/continuousKlines", {"pair": "NOSUCH", "interval": "1m", "contractType": "PERPETUAL"}, -4144),
        ("GET /fapi/v1/continuousKlines", {"pair": SYMBOL, "interval": "1m", "contractType": "WEEKLY"}, -4104),
        ("GET /fapi/v1/aggTrades", {"symbol": SYMBOL, "startTime": 1}, -4166),
        ("GET /fapi/v1/trades", {"symbol": SYMBOL, "limit": 0}, -1130),
        ("GET /fapi/v1/ticker/price", {"symbol": "NOSUCH"}, -1121),
        ("GET /fapi/v1/assetIndex", {"symbol": "NOSUCH"}, -1121),
        ("PUT /fapi/v1/listenKey", {}, -1125),
        ("DELETE /fapi/v1/listenKey", {}, -1125),
        ("GET /fapi/v1/allOrders", {"symbol": SYMBOL, "startTime": 2, "endTime": 1}, -1023),
        ("GET /fapi/v1/allOrders", {"symbol": SYMBOL, "startTime": 1, "endTime": 8 * 86_400_000}, -4165),
    ],
)
def test_queries_are_refused_with_the_exchanges_codes(bench: Bench, name: str, params: dict[str, object], code: int) -> None:
    assert bench.fault(name, params) == (400, code)
