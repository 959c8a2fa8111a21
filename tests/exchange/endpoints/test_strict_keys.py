"""Each answer has exactly its documented keys (protocol.md 6.4 to 7.5); refusals, envelopes and control replies their own form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import pytest

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.config.venue import VenueAccount, VenueChange
from coldframe.core.connectivity.signing import sign_api, signer_of_pem
from coldframe.exchange.endpoints.rest import Rest, RestRequest
from coldframe.exchange.endpoints.session import ApiSession
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.synthetic import SyntheticMarket
from coldframe.exchange.trading.account_store import MemoryAccountStore
from coldframe.exchange_server.key_files import keys_for
from coldframe.secret import Secret
from coldframe.wire.frames import ControlError, error_frame, parse_control, reply_frame
from coldframe.wire.rest import ENDPOINTS
from tests.exchange.endpoints.test_parameters import ALGO, CALLS, LIMIT
from tests.exchange.endpoints.test_strict_bodies import ROWS, _lively, bodies, faults, integer, text
from tests.exchange.rig import START_MS, SYMBOL, Rig, order_events
from tests.randomness import randomness

ORDER = (
    "orderId symbol status clientOrderId price origQty executedQty timeInForce type reduceOnly"
    " closePosition side positionSide stopPrice"
    " workingType priceProtect origType priceMatch selfTradePreventionMode goodTillDate updateTime"
)
PLACED, FOUND = f"{ORDER} cumQty", f"{ORDER} avgPrice cumQuote time"
LISTED = f"{FOUND} cumBase pair"
NEW_ALGO = (
    "algoId clientAlgoId algoType orderType symbol side positionSide timeInForce quantity algoStatus"
    " triggerPrice price icebergQuantity"
    " selfTradePreventionMode workingType priceMatch closePosition priceProtect reduceOnly createTime updateTime triggerTime"
    " goodTillDate [activatePrice] [callbackRate]"
)
ALGO_ROW = f"{NEW_ALGO} actualOrderId actualPrice actualQty actualType tpOrderType"
TOTALS = (
    "totalInitialMargin totalMaintMargin totalWalletBalance totalUnrealizedProfit totalMarginBalance totalPositionInitialMargin"
    " totalOpenOrderInitialMargin totalCrossWalletBalance totalCrossUnPnl availableBalance maxWithdrawAmount assets positions"
)
OLD_POSITION = (
    "symbol positionSide positionAmt entryPrice breakEvenPrice markPrice unRealizedProfit liquidationPrice isolatedMargin notional"
    " isolatedWallet updateTime"
)
BALANCE = "accountAlias asset balance crossWalletBalance crossUnPnl availableBalance maxWithdrawAmount marginAvailable updateTime"
BOOK, NOTICE, SHARES = "lastUpdateId E T bids asks", "code msg", "symbol longShortRatio longAccount shortAccount timestamp"
#: Call to the keys of its object, or of each of its rows; those in brackets may be missing.
KEYS: dict[str, str] = {
    **dict.fromkeys(("POST /fapi/v1/order", "POST /fapi/v1/order/test", "POST /fapi/v1/batchOrders"), PLACED),
    **dict.fromkeys(("PUT /fapi/v1/order", "DELETE /fapi/v1/order", "DELETE /fapi/v1/batchOrders"), f"{PLACED} [modifyId]"),
    **dict.fromkeys(("GET /fapi/v1/order", "GET /fapi/v1/openOrder", "GET /fapi/v1/openOrders"), FOUND),
    **dict.fromkeys(("GET /fapi/v1/allOrders", "GET /fapi/v1/forceOrders"), LISTED),
    **dict.fromkeys(("GET /fapi/v1/algoOrder", "GET /fapi/v1/allAlgoOrders"), ALGO_ROW),
    "GET /fapi/v1/openAlgoOrders": f"{NEW_ALGO} [actualOrderId] [actualPrice] [actualQty] [actualType] [tpOrderType]",
    "POST /fapi/v1/algoOrder": NEW_ALGO,
    "DELETE /fapi/v1/algoOrder": "algoId clientAlgoId code msg",
    **dict.fromkeys(("DELETE /fapi/v1/algoOpenOrders", "DELETE /fapi/v1/allOpenOrders", "POST /fapi/v1/feeBurn"), NOTICE),
    **dict.fromkeys(("POST /fapi/v1/marginType", "POST /fapi/v1/multiAssetsMargin"), NOTICE),
    **dict.fromkeys(("POST /fapi/v1/positionSide/dual", "POST /fapi/v1/stock/contract"), NOTICE),
    **dict.fromkeys(("GET /fapi/v1/depth", "GET /fapi/v1/rpiDepth"), BOOK),
    **dict.fromkeys(("GET /fapi/v1/ticker/price", "GET /fapi/v2/ticker/price"), "symbol price time"),
    **dict.fromkeys(("GET /fapi/v1/trades", "GET /fapi/v1/historicalTrades"), "id price qty quoteQty time isBuyerMaker isRPITrade"),
    **dict.fromkeys(("POST /fapi/v1/listenKey", "PUT /fapi/v1/listenKey"), "listenKey"),
    **dict.fromkeys(("GET /fapi/v1/ping", "DELETE /fapi/v1/listenKey"), ""),
    **dict.fromkeys(("GET /fapi/v2/balance", "GET /fapi/v3/balance"), BALANCE),
    **dict.fromkeys((f"GET /futures/data/{name}" for name in ("topLongShortAccountRatio", "topLongShortPositionRatio")), SHARES),
    "GET /futures/data/globalLongShortAccountRatio": SHARES,
    "GET /futures/data/openInterestHist": "symbol sumOpenInterest sumOpenInterestValue CMCCirculatingSupply timestamp",
    "GET /futures/data/takerlongshortRatio": "buySellRatio buyVol sellVol timestamp",
    "GET /futures/data/basis": "pair contractType indexPrice futuresPrice basis basisRate annualizedBasisRate timestamp",
    "GET /futures/data/delivery-price": "deliveryTime deliveryPrice",
    "GET /fapi/v1/time": "serverTime",
    "GET /fapi/v1/exchangeInfo": "timezone serverTime futuresType rateLimits exchangeFilters assets symbols",
    "GET /fapi/v1/aggTrades": "a p q nq f l T m",
    "GET /fapi/v1/premiumIndex": (
        "symbol markPrice indexPrice estimatedSettlePrice lastFundingRate interestRate nextFundingTime time"
    ),
    "GET /fapi/v1/fundingRate": "symbol fundingRate fundingTime markPrice rateType",
    "GET /fapi/v1/fundingInfo": (
        "symbol adjustedFundingRateCap adjustedFundingRateFloor fundingIntervalHours disclaimer updateTime"
    ),
    "GET /fapi/v1/openInterest": "symbol openInterest time",
    "GET /fapi/v1/ticker/24hr": (
        "symbol priceChange priceChangePercent weightedAvgPrice lastPrice lastQty openPrice highPrice lowPrice volume quoteVolume"
        " openTime closeTime firstId lastId count"
    ),
    "GET /fapi/v1/ticker/bookTicker": "lastUpdateId symbol bidPrice bidQty askPrice askQty time",
    "GET /fapi/v1/indexInfo": "symbol time component baseAssetList",
    "GET /fapi/v1/assetIndex": (
        "symbol time index bidBuffer askBuffer bidRate askRate autoExchangeBidBuffer autoExchangeAskBuffer autoExchangeBidRate"
        " autoExchangeAskRate"
    ),
    "GET /fapi/v1/constituents": "symbol time constituents",
    "GET /fapi/v1/insuranceBalance": "symbols assets",
    "GET /fapi/v1/symbolAdlRisk": "symbol adlRisk updateTime",
    "GET /fapi/v1/tradingSchedule": "updateTime marketSchedules",
    "GET /fapi/v1/orderAmendment": "amendmentId symbol pair orderId clientOrderId time amendment",
    "GET /fapi/v1/userTrades": (
        "id orderId symbol price qty quoteQty baseQty commission commissionAsset realizedPnl side"
        " positionSide buyer maker marginAsset"
        " pair time"
    ),
    "GET /fapi/v1/income": "symbol incomeType income asset info time tranId tradeId",
    "GET /fapi/v1/positionMargin/history": "symbol type deltaType amount asset time positionSide",
    "GET /fapi/v3/positionRisk": (
        f"{OLD_POSITION} marginAsset initialMargin maintMargin positionInitialMargin openOrderInitialMargin adl bidNotional"
        " askNotional"
    ),
    "GET /fapi/v2/positionRisk": f"{OLD_POSITION} leverage marginType isAutoAddMargin maxNotionalValue",
    "GET /fapi/v3/account": TOTALS,
    "GET /fapi/v2/account": f"{TOTALS} feeTier canTrade canDeposit canWithdraw feeBurn multiAssetsMargin tradeGroupId updateTime",
    "GET /fapi/v1/accountConfig": (
        "feeTier canTrade canDeposit canWithdraw dualSidePosition multiAssetsMargin tradeGroupId updateTime"
    ),
    "GET /fapi/v1/symbolConfig": "symbol marginType isAutoAddMargin leverage maxNotionalValue",
    "GET /fapi/v1/commissionRate": "symbol makerCommissionRate takerCommissionRate rpiCommissionRate",
    "GET /fapi/v1/leverageBracket": "symbol brackets [notionalCoef]",
    "GET /fapi/v1/rateLimit/order": "rateLimitType interval intervalNum limit",
    "GET /fapi/v1/adlQuantile": "symbol adlQuantile",
    "GET /fapi/v1/apiTradingStatus": "indicators updateTime",
    "GET /fapi/v1/feeBurn": "feeBurn",
    "GET /fapi/v1/positionSide/dual": "dualSidePosition",
    "GET /fapi/v1/multiAssetsMargin": "multiAssetsMargin",
    "POST /fapi/v1/leverage": "leverage maxNotionalValue symbol",
    "POST /fapi/v1/positionMargin": "amount code msg type",
    "POST /fapi/v1/countdownCancelAll": "symbol countdownTime",
    "PUT /fapi/v1/batchOrders": f"{PLACED} [modifyId]",
}  # fmt: skip
#: What stands inside: by call and key, the keys of the object or of each row.
INSIDE: dict[tuple[str, str], str] = {
    ("GET /fapi/v1/exchangeInfo", "symbols"): (
        "symbol pair contractType deliveryDate onboardDate status maintMarginPercent requiredMarginPercent baseAsset quoteAsset"
        " marginAsset pricePrecision quantityPrecision baseAssetPrecision quotePrecision underlyingType underlyingSubType"
        " triggerProtect liquidationFee marketTakeBound maxMoveOrderLimit filters orderTypes timeInForce permissionSets"
    ),
    ("GET /fapi/v1/exchangeInfo", "assets"): "asset marginAvailable autoAssetExchange",
    ("GET /fapi/v1/exchangeInfo", "rateLimits"): "rateLimitType interval intervalNum limit",
    ("GET /fapi/v1/leverageBracket", "brackets"): "bracket initialLeverage notionalCap notionalFloor maintMarginRatio cum",
    ("GET /fapi/v3/account", "assets"): (
        "asset walletBalance unrealizedProfit marginBalance maintMargin initialMargin positionInitialMargin openOrderInitialMargin"
        " crossWalletBalance crossUnPnl availableBalance maxWithdrawAmount marginAvailable updateTime"
    ),
    ("GET /fapi/v3/account", "positions"): (
        "symbol positionSide positionAmt unrealizedProfit isolatedMargin notional isolatedWallet"
        " initialMargin maintMargin updateTime"
    ),
    ("GET /fapi/v1/orderAmendment", "amendment"): "price origQty count [modifyId]",
    ("GET /fapi/v1/constituents", "constituents"): "exchange symbol price weight",
    ("GET /fapi/v1/indexInfo", "baseAssetList"): "baseAsset quoteAsset weightInQuantity weightInPercentage",
    ("GET /fapi/v1/tradingSchedule", "marketSchedules"): "EQUITY COMMODITY KR_EQUITY HK_EQUITY CN_EQUITY FX",
    ("GET /fapi/v1/insuranceBalance", "assets"): "asset marginBalance updateTime",
}


def rows_of(body: Any) -> list[dict[str, Any]]:
    return [row for row in (body if isinstance(body, list) else [body]) if isinstance(row, dict)]


def misfits(row: dict[str, Any], keys: str) -> set[str]:
    """The keys that a row lacks, and those that it should not have."""
    needed = {key for key in keys.split() if not key.startswith("[")}
    allowed = {key.strip("[]") for key in keys.split()}
    return (needed - set(row)) | (set(row) - allowed)


def test_every_call_is_here() -> None:
    assert set(KEYS) == set(CALLS) - ROWS


@pytest.mark.parametrize("call", sorted(set(CALLS) - ROWS))
def test_an_answer_has_exactly_its_keys(call: str) -> None:
    for body in bodies(call):
        for row in rows_of(body):
            if "code" in row and call.endswith("batchOrders"):
                assert misfits(row, NOTICE) == set()  # one of the batch, refused
                continue
            assert misfits(row, KEYS[call]) == set()
            for (owner, name), keys in INSIDE.items():
                for inner in rows_of(row[name]) if owner == call else ():
                    assert misfits(inner, keys) == set(), name


# -- worlds that the walk does not reach --------------------------------------------------------------------------------


def synthetic() -> Exchange:
    settings = Settings(accounts=[VenueAccount(name="a")])
    market = SyntheticMarket(settings, START_MS, {}, Random)
    return Exchange(
        settings, market.markets, keys_for(["a"], None), MemoryAccountStore(), START_MS, randomness(), introduce=market.introduce
    )


def public(exchange: Exchange, path: str) -> Any:
    return msgspec.json.decode(Rest(exchange).answer(RestRequest("GET", path, b"", {}, b""), START_MS).body)


@pytest.mark.parametrize("name", ["fundingInfo", "indexInfo", "exchangeInfo", "premiumIndex", "ticker/24hr", "ticker/bookTicker"])
def test_the_whole_synthetic_market_is_read_too(name: str) -> None:
    path = f"/fapi/v1/{name}"
    body = public(synthetic(), path)
    assert body
    assert list(faults(f"GET {path}", body)) == []
    assert all(misfits(row, KEYS[f"GET {path}"]) == set() for row in rows_of(body))


def test_a_contract_without_a_trade_has_rows_of_the_same_form() -> None:
    exchange = synthetic()
    change = VenueChange(at_s=0, what="listing", value="delisted", symbol="SOLUSDT")  # type: ignore[arg-type]
    assert exchange.change(change, START_MS) is None
    for name in ("exchangeInfo", "premiumIndex", "ticker/price", "ticker/bookTicker", "ticker/24hr", "symbolAdlRisk"):
        assert list(faults(f"GET /fapi/v1/{name}", public(exchange, f"/fapi/v1/{name}"))) == []


def hedged() -> Iterator[tuple[str, Any]]:
    rig = Rig(accounts=(VenueAccount(name="a", hedge_mode=True),))
    rig.book()
    for side, position in (("BUY", "LONG"), ("SELL", "SHORT")):
        yield "POST /fapi/v1/order", rig.place(side, "2", positionSide=position, newOrderRespType="RESULT")
    yield "POST /fapi/v1/order", rig.place("SELL", "1", "1100.0", positionSide="LONG")
    closing = {**ALGO, "side": "SELL", "type": "STOP_MARKET", "triggerPrice": "900.0", "positionSide": "LONG"}
    yield "POST /fapi/v1/algoOrder", rig.call("POST /fapi/v1/algoOrder", **closing)
    for path in (
        "v2/account",
        "v3/account",
        "v2/positionRisk",
        "v3/positionRisk",
        "v1/openOrders",
        "v1/openAlgoOrders",
        "v1/adlQuantile",
    ):
        yield f"GET /fapi/{path}", rig.call(f"GET /fapi/{path}")


def test_hedge_mode_has_the_same_forms() -> None:
    for call, body in hedged():
        assert not isinstance(body, int), call
        assert list(faults(call, body)) == []
        assert all(misfits(row, KEYS[call]) == set() for row in rows_of(body)), call


# -- refusals -----------------------------------------------------------------------------------------------------------


def is_refusal(body: Any) -> bool:
    return set(body) == {"code", "msg"} and integer(body["code"]) and body["code"] < 0 and text(body["msg"]) and bool(body["msg"])


@pytest.mark.parametrize("endpoint", sorted(ENDPOINTS), ids=" ".join)
def test_a_refusal_is_a_code_and_a_text(endpoint: tuple[str, str]) -> None:
    rig = Rig()
    verb, path = endpoint
    for headers in ({}, {"x-mbx-apikey": "unknown"}, {"x-mbx-apikey": rig.keys[0].hmac_api_key}):
        answer = Rest(rig.exchange).answer(RestRequest(verb, path, b"symbol=NOSUCH&limit=-7&pair=NOSUCH", headers, b""), rig.now_ms)
        body = msgspec.json.decode(answer.body)
        assert dict(answer.headers)["content-type"] == "application/json"
        assert answer.status == 200 or is_refusal(body)
        assert 200 <= answer.status < 600


# -- envelopes of the WebSocket API -------------------------------------------------------------------------------------


def signed(rig: Rig, method: str, params: dict[str, Any], request_id: object = 1) -> bytes:
    keys = rig.keys[0]
    signer = signer_of_pem(Secret(keys.ed25519_api_key), Secret(keys.ed25519_private_pem.decode()))
    return json.dumps({"id": request_id, "method": method, "params": dict(sign_api(params, signer, rig.now_ms, 5000))}).encode()


def test_a_session_from_log_on_to_revocation() -> None:
    rig = _lively()
    session = ApiSession(rig.exchange, rig.now_ms, shows_limits=True)

    def ask(frame: bytes) -> Any:
        return msgspec.json.decode(session.answer(frame, rig.now_ms))

    on = ask(signed(rig, "session.logon", {}, "log-on"))
    assert set(on) == {"id", "status", "result", "rateLimits"}
    assert (on["id"], on["status"]) == ("log-on", 200)
    assert set(on["result"]) == {"apiKey", "authorizedSince", "connectedSince", "returnRateLimits", "serverTime"}
    assert list(faults("session.logon", on["result"])) == list(faults("session.logon", on["rateLimits"])) == []
    refused = ask(signed(rig, "order.place", {**LIMIT, "symbol": "NOSUCH"}))
    assert set(refused) == {"id", "status", "error", "rateLimits"}
    assert is_refusal(refused["error"])
    assert {row["rateLimitType"] for row in refused["rateLimits"]} == {"REQUEST_WEIGHT", "ORDERS"}
    assert list(faults("order.place", refused["rateLimits"])) == []
    for frame in (b"{", b'{"id":1,"method":"no.such","params":{}}', b"[]", b'{"id":7}'):
        told = ask(frame)
        assert set(told) == {"id", "status", "error"}
        assert is_refusal(told["error"])
    session.revoke()
    revoked = ask(signed(rig, "session.status", {}))
    assert (revoked["id"], revoked["status"], revoked["error"]["code"]) == (None, 401, -2015)


# -- control replies of streams -----------------------------------------------------------------------------------------


def test_control_replies_have_two_forms() -> None:
    assert json.loads(reply_frame(3, None)) == {"result": None, "id": 3}
    assert json.loads(reply_frame(3, ["btcusdt@depth"])) == {"result": ["btcusdt@depth"], "id": 3}
    for frame in (
        b"{",
        b'{"method":"NO","id":1}',
        b'{"method":"SUBSCRIBE","id":"a"}',
    ):
        control = parse_control(frame)
        assert isinstance(control, ControlError)
        told = json.loads(error_frame(control))
        assert set(told) <= {"error", "id"}
        assert integer(told["error"]["code"])
        assert text(told["error"]["msg"])


def test_an_order_of_a_delisted_contract_ends_in_known_words() -> None:
    rig = Rig()
    rig.book()
    rig.place("BUY", "1")
    rig.place("BUY", "1", "900.0")
    rig.events()
    change = VenueChange(at_s=0, what="listing", value="delisted", symbol=SYMBOL)  # type: ignore[arg-type]
    rig.exchange.change(change, rig.now_ms)
    assert order_events(rig.events()) == [("EXPIRED", "EXPIRED"), ("NEW", "NEW"), ("TRADE", "FILLED")]
    for path in ("v1/allOrders", "v1/userTrades", "v1/income"):
        assert list(faults(f"GET /fapi/{path}", rig.call(f"GET /fapi/{path}", symbol=SYMBOL))) == []


def test_the_end_of_a_listen_key_is_told_in_three_keys() -> None:
    rig = _lively()
    rig.exchange.take_private()
    rig.exchange.end_listen_keys(rig.now_ms, told=True)
    (event,) = rig.exchange.take_private()
    told = json.loads(event.payload)
    assert told == {"e": "listenKeyExpired", "E": rig.now_ms, "listenKey": event.listen_key}
