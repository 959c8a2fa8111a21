"""Every body of REST and of the WebSocket API as a strict client reads it: no key unknown, no word outside its enum, no other type.

Sources: protocol.md 6.4 to 7.5, `seeds/004` "ENUM definitions", and what captures of 2026 hold. A number that is a text must be a
plain decimal; a number that is an integer must be one that a client in JavaScript can hold, but for long order ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from coldframe.enums import Side
from coldframe.exchange.endpoints.authentic import Key
from coldframe.exchange.endpoints.session import ApiSession
from coldframe.wire.api import METHODS
from tests.exchange.endpoints.test_parameters import ALGO, CALLS, HOUR, LIMIT, MODIFY, NEEDED, OTHER, Known, ids, pair, world
from tests.exchange.rig import SYMBOL, Rig

Check = Callable[[Any], bool]


def text(value: Any) -> bool:
    return isinstance(value, str)


def decimal(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value) is not None


def integer(value: Any) -> bool:
    return type(value) is int and abs(value) < 2**53


def number(value: Any) -> bool:
    return type(value) in (int, float)


def flag(value: Any) -> bool:
    return type(value) is bool


def words(listed: str) -> Check:
    known = frozenset(listed.split())
    return lambda value: value in known


def many(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(check(element) for element in value)


def maybe(check: Check) -> Check:
    return lambda value: value in ("", None) or check(value)


def exactly(*listed: str) -> Check:
    return lambda value: value == list(listed)


def anything(value: Any) -> bool:
    """What stands here is looked at by its own keys."""
    return isinstance(value, dict | list)


ORDER_TYPES = "LIMIT MARKET STOP STOP_MARKET TAKE_PROFIT TAKE_PROFIT_MARKET TRAILING_STOP_MARKET"
STATUSES = words("NEW PARTIALLY_FILLED FILLED CANCELED REJECTED EXPIRED EXPIRED_IN_MATCH")
LISTED = words("PENDING_TRADING TRADING PRE_DELIVERING DELIVERING DELIVERED PRE_SETTLE SETTLING CLOSE")
TIMES_IN_FORCE = words("GTC IOC FOK GTX GTD RPI GTE_GTC")
MARKETS = "EQUITY COMMODITY KR_EQUITY HK_EQUITY CN_EQUITY FX"


def _table(check: Check, names: str) -> dict[str, Check]:
    return dict.fromkeys(names.split(), check)


#: What each key may hold, wherever it stands. A key that is not here is unknown.
KEYS: dict[str, Check] = {
    **_table(
        text,
        "symbol pair clientOrderId clientAlgoId asset msg listenKey accountAlias info tradeId timezone baseAsset quoteAsset"
        " marginAsset commissionAsset exchange component disclaimer indexName",
    ),
    **_table(
        decimal,
        "price origQty executedQty cumQty cumQuote cumBase avgPrice stopPrice activatePrice priceRate qty quoteQty baseQty"
        " realizedPnl commission income quantity triggerPrice callbackRate amount positionAmt entryPrice breakEvenPrice markPrice"
        " unRealizedProfit unrealizedProfit liquidationPrice isolatedMargin notional isolatedWallet initialMargin maintMargin"
        " positionInitialMargin openOrderInitialMargin bidNotional askNotional maxNotionalValue maxNotional balance"
        " crossWalletBalance crossUnPnl availableBalance maxWithdrawAmount walletBalance marginBalance totalInitialMargin"
        " totalMaintMargin totalWalletBalance totalUnrealizedProfit totalMarginBalance totalPositionInitialMargin"
        " totalOpenOrderInitialMargin totalCrossWalletBalance totalCrossUnPnl makerCommissionRate takerCommissionRate"
        " rpiCommissionRate indexPrice estimatedSettlePrice lastFundingRate interestRate fundingRate openInterest"
        " sumOpenInterest sumOpenInterestValue longShortRatio longAccount shortAccount buySellRatio buyVol sellVol bidPrice bidQty"
        " askPrice askQty priceChange priceChangePercent weightedAvgPrice lastPrice lastQty openPrice highPrice lowPrice volume"
        " quoteVolume index bidBuffer askBuffer bidRate askRate autoExchangeBidBuffer autoExchangeAskBuffer autoExchangeBidRate"
        " autoExchangeAskRate weight weightInQuantity weightInPercentage adjustedFundingRateCap adjustedFundingRateFloor"
        " minPrice maxPrice tickSize minQty maxQty stepSize multiplierUp multiplierDown multiplierDecimal maintMarginPercent"
        " requiredMarginPercent triggerProtect liquidationFee marketTakeBound before after p q nq actualPrice countdownTime"
        " futuresPrice basis basisRate CMCCirculatingSupply",
    ),
    **_table(
        integer,
        "time updateTime algoId createTime triggerTime goodTillDate modifyId id tranId serverTime lastUpdateId E T openTime"
        " closeTime firstId lastId count nextFundingTime fundingTime timestamp bracket initialLeverage feeTier tradeGroupId"
        " intervalNum limit"
        " deliveryDate onboardDate pricePrecision quantityPrecision baseAssetPrecision quotePrecision maxMoveOrderLimit adl"
        " fundingIntervalHours startTime endTime amendmentId a f l BOTH LONG SHORT HEDGE code connectedSince",
    ),
    **_table(number, "notionalCap notionalFloor maintMarginRatio cum"),
    **_table(
        flag,
        "reduceOnly closePosition priceProtect maker buyer m isBuyerMaker isRPITrade marginAvailable canTrade canDeposit"
        " canWithdraw dualSidePosition multiAssetsMargin isAutoAddMargin feeBurn isolated disclaimer returnRateLimits",
    ),
    **_table(
        anything,
        "bids asks symbols assets positions brackets filters exchangeFilters rateLimits amendment origQtyChange indicators"
        " marketSchedules sessions constituents baseAssetList adlQuantile",
    ),
    **_table(anything, MARKETS),
    #: An order id may have 19 digits; which contracts have such ids is another test's.
    "orderId": lambda value: type(value) is int,
    "actualOrderId": maybe(lambda value: value.isdecimal()),
    "status": STATUSES,
    "algoStatus": words("NEW TRIGGERING TRIGGERED FINISHED CANCELED REJECTED EXPIRED"),
    "side": words("BUY SELL"),
    "positionSide": words("BOTH LONG SHORT"),
    "timeInForce": TIMES_IN_FORCE,
    **_table(words(ORDER_TYPES), "type origType orderType"),
    "actualType": maybe(words(ORDER_TYPES)),
    "actualQty": maybe(decimal),
    "annualizedBasisRate": maybe(decimal),
    "tpOrderType": maybe(words("TAKE_PROFIT TAKE_PROFIT_MARKET")),
    "icebergQuantity": lambda value: value is None,
    "workingType": words("CONTRACT_PRICE MARK_PRICE"),
    "priceMatch": words("NONE OPPONENT OPPONENT_5 OPPONENT_10 OPPONENT_20 QUEUE QUEUE_5 QUEUE_10 QUEUE_20"),
    "selfTradePreventionMode": words("NONE EXPIRE_TAKER EXPIRE_MAKER EXPIRE_BOTH"),
    "algoType": words("CONDITIONAL"),
    "marginType": words("CROSSED ISOLATED"),
    "incomeType": words("TRANSFER REALIZED_PNL FUNDING_FEE SPECIAL_FUNDING_FEE COMMISSION INSURANCE_CLEAR"),
    "deltaType": words("TRADE USER_ADJUST"),
    "rateType": words("Regular Special"),
    "rateLimitType": words("REQUEST_WEIGHT ORDERS"),
    "interval": words("MINUTE SECOND"),
    "adlRisk": words("low medium high"),
    "futuresType": words("U_MARGINED"),
    "contractType": words("PERPETUAL CURRENT_MONTH NEXT_MONTH CURRENT_QUARTER NEXT_QUARTER PERPETUAL_DELIVERING TRADIFI_PERPETUAL"),
    "underlyingType": words(f"COIN INDEX PREMARKET {MARKETS}"),
    "underlyingSubType": many(text),
    "orderTypes": exactly(*ORDER_TYPES.split()),
    "permissionSets": many(words("GRID COPY DCA RPI PSB")),
    "positionControlSide": words("NONE"),
    "filterType": words("PRICE_FILTER LOT_SIZE MARKET_LOT_SIZE MAX_NUM_ORDERS MIN_NOTIONAL PERCENT_PRICE POSITION_RISK_CONTROL"),
    "autoAssetExchange": maybe(decimal),
    "leverage": integer,
    "apiKey": maybe(text),
    "authorizedSince": maybe(integer),
}
#: Where a key holds something else than elsewhere: by call.
ELSEWHERE: dict[tuple[str, str], Check] = {
    ("GET /fapi/v1/exchangeInfo", "status"): LISTED,
    ("GET /fapi/v1/exchangeInfo", "timeInForce"): exactly("GTC", "IOC", "FOK", "GTX", "GTD"),
    ("GET /fapi/v1/tradingSchedule", "type"): words("PRE_MARKET REGULAR AFTER_MARKET OVERNIGHT NO_TRADING"),
    ("GET /fapi/v1/fundingInfo", "updateTime"): maybe(integer),
    ("GET /fapi/v1/fundingInfo", "disclaimer"): flag,
    ("GET /fapi/v1/insuranceBalance", "symbols"): many(text),
    ("GET /fapi/v1/orderAmendment", "price"): anything,
    ("GET /fapi/v1/orderAmendment", "origQty"): anything,
    ("GET /fapi/v1/positionMargin/history", "type"): lambda value: value in (1, 2),
    ("POST /fapi/v1/positionMargin", "type"): lambda value: value in (1, 2),
    ("POST /fapi/v1/positionMargin", "amount"): number,
    **{(call, "code"): words("200") for call in ("DELETE /fapi/v1/algoOrder", "algoOrder.cancel")},
    **{
        (call, name): check
        for call in ("GET /fapi/v2/positionRisk", "account.position", "GET /fapi/v2/account", "account.status")
        for name, check in (
            ("leverage", decimal),
            ("marginType", words("cross isolated")),
            ("isAutoAddMargin", words("true false")),
        )
    },
}


def faults(call: str, body: Any, path: str = "") -> Iterator[str]:
    """Everything in a body that a strict client would refuse."""
    if isinstance(body, list):
        for at, row in enumerate(body):
            yield from faults(call, row, f"{path}[{at}]")
    elif isinstance(body, dict):
        for name, value in body.items():
            check = ELSEWHERE.get((call, name), KEYS.get(name))
            if check is None:
                yield f"{path}.{name} is unknown"
            elif not check(value):
                yield f"{path}.{name} = {value!r}"
            if name not in ("bids", "asks"):
                yield from faults(call, value, f"{path}.{name}")


#: Settings that are already so in the world, or cannot be changed there.
SETTINGS: dict[str, dict[str, object]] = {
    "POST /fapi/v1/marginType": {"symbol": SYMBOL, "marginType": "ISOLATED"},
    "POST /fapi/v1/positionSide/dual": {"dualSidePosition": "true"},
    "POST /fapi/v1/multiAssetsMargin": {"multiAssetsMargin": "true"},
}


def bodies(call: str) -> Iterator[Any]:
    """What a call answers in a world with something of everything in it."""
    if call in SETTINGS:
        yield Rig().call(call, **SETTINGS[call])
        return
    params, _ = pair(call, "symbol") if call in NEEDED or "symbol" in _fields(call) else (NEEDED.get(call, {}), {})
    if call == "PUT /fapi/v1/batchOrders":
        rows = [{**MODIFY, "orderId": ids()["order"]}, {**MODIFY, "orderId": 1}]
        params = {"batchOrders": msgspec.json.encode(rows).decode()}
    told = {name: ids()[value.text] if isinstance(value, Known) else value for name, value in params.items()}
    yield _lively().call(call, **told)
    if "symbol" in told and not call.startswith("POST"):
        optional = {name: value for name, value in told.items() if name != "symbol"}
        whole = _lively().call(call, **optional)
        if not isinstance(whole, int):
            yield whole
    if call == "GET /fapi/v1/openAlgoOrders":
        rig = _lively()
        trailing = {**ALGO, "side": "SELL", "type": "TRAILING_STOP_MARKET", "callbackRate": "1", "activatePrice": "1100.0"}
        yield rig.call("POST /fapi/v1/algoOrder", **trailing)
        yield rig.call(call)


def _lively() -> Any:
    """The world of the parameters, with a partial fill, a triggered order and a closePosition order."""
    rig = world()
    rig.place("BUY", "5", "1000.0")
    rig.public_takes(Side.SELL, "1", "1000.0")
    rig.call("POST /fapi/v1/algoOrder", **{**ALGO, "side": "SELL", "type": "STOP_MARKET", "triggerPrice": "1.0"})
    closing = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET", "triggerPrice": "500.0"}
    rig.call("POST /fapi/v1/algoOrder", closePosition="true", **closing)
    met = {**ALGO, "side": "BUY", "type": "STOP_MARKET", "triggerPrice": "1000.5", "workingType": "MARK_PRICE"}
    rig.call("POST /fapi/v1/algoOrder", **met)
    rig.mark("1001.0")
    rig.pass_ms(50)
    rig.pass_ms(HOUR)
    rig.exchange.listen_keys.start("a", rig.now_ms)
    return rig


def _fields(call: str) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(CALLS[call])}


#: Calls whose answers are rows of plain values.
ROWS = {call for call in CALLS if "lines" in call}


@pytest.mark.parametrize("call", sorted(set(CALLS) - ROWS))
def test_a_strict_client_reads_each_answer_of_rest(call: str) -> None:
    for body in bodies(call):
        assert not isinstance(body, int), f"{call} was refused: {body}"
        assert list(faults(call, body)) == []


@pytest.mark.parametrize("call", sorted(ROWS))
def test_candles_are_rows_of_twelve_typed_values(call: str) -> None:
    checks = (integer, decimal, decimal, decimal, decimal, decimal, integer, decimal, integer, decimal, decimal, decimal)
    for body in bodies(call):
        assert body
        assert all(len(row) == 12 and all(check(value) for check, value in zip(checks, row, strict=True)) for row in body)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_strict_client_reads_each_answer_of_the_api(method: str) -> None:
    rig = _lively()
    session = ApiSession(rig.exchange, rig.now_ms, shows_limits=True)
    key = rig.exchange.keys.find(rig.keys[0].ed25519_api_key)
    assert isinstance(key, Key)
    session._key = key
    params = {
        "order.place": LIMIT,
        "order.modify": {"symbol": SYMBOL, "orderId": ids()["order"], "side": "BUY", "quantity": "1", "price": "980.0"},
        "order.cancel": {"symbol": SYMBOL, "orderId": ids()["order"]},
        "order.status": {"symbol": SYMBOL, "orderId": ids()["order"]},
        "algoOrder.place": {**ALGO, "side": "BUY", "type": "STOP_MARKET", "triggerPrice": "1040.0"},
        "algoOrder.cancel": {"algoId": ids()["algo"]},
    }.get(method, {"symbol": OTHER} if "depth" in method or "ticker" in method else {})
    if method == "session.logon":
        return  # needs a signature; its answer is that of session.status
    frame = msgspec.json.encode({"id": 1, "method": method, "params": {**params, "timestamp": rig.now_ms, "apiKey": key.api_key}})
    session._exchange.keys.find = lambda name: key  # type: ignore[method-assign]
    answer = msgspec.json.decode(session.answer(_unsigned(frame), rig.now_ms))
    assert answer["status"] == 200, answer
    assert list(faults(method, answer["result"])) == []
    assert list(faults(method, answer["rateLimits"])) == []


def _unsigned(frame: bytes) -> bytes:
    """The request as a session that is logged on sends it: without its key, but for calls that need one."""
    body = msgspec.json.decode(frame)
    if not body["method"].startswith("userDataStream"):
        del body["params"]["apiKey"]
    return msgspec.json.encode(body)
