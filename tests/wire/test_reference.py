"""Answers about markets have the keys and JSON types that protocol.md 6.4 and 6.5 list."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import msgspec
import pytest

from coldframe.enums import ContractStatus
from coldframe.errors import DecodeError
from coldframe.wire import codec, reference
from coldframe.wire.filters import Filters, LotSize
from coldframe.wire.replies import Reply
from coldframe.wire.streams import Message
from tests.conftest import SHARED, needs_shared
from tests.wire.shapes import example, written
from tests.wire.test_replies import body_of

#: Call to its class and the keys that protocol.md names for it; marks as in `test_replies`.
DOCUMENTED: dict[str, tuple[type[Message], str]] = {
    "time": (reference.ServerTime, "serverTime:I"),
    "rateLimits in exchangeInfo": (reference.RateLimit, "rateLimitType interval intervalNum:I limit:I"),
    "rateLimits in an API answer": (reference.RateLimit, "rateLimitType interval intervalNum:I limit:I count:I"),
    "exchangeInfo": (reference.ExchangeInfo, "timezone serverTime:I futuresType rateLimits exchangeFilters assets symbols"),
    "exchangeInfo asset": (reference.AssetInfo, "asset marginAvailable:B autoAssetExchange"),
    "exchangeInfo symbol": (
        reference.SymbolInfo,
        "symbol pair contractType deliveryDate:I onboardDate:I status maintMarginPercent requiredMarginPercent baseAsset "
        "quoteAsset marginAsset pricePrecision:I quantityPrecision:I baseAssetPrecision:I quotePrecision:I underlyingType "
        "underlyingSubType settlePlan:I triggerProtect liquidationFee marketTakeBound maxMoveOrderLimit:I filters orderTypes "
        "timeInForce permissionSets",
    ),
    "depth": (reference.Depth, "lastUpdateId:I E:I T:I bids asks"),
    "ticker.price": (reference.PriceTicker, "symbol price time:I"),
    "ticker.book": (reference.BestTicker, "lastUpdateId:I symbol bidPrice bidQty askPrice askQty time:I"),
    "ticker/24hr": (
        reference.DayTicker,
        "symbol priceChange priceChangePercent weightedAvgPrice lastPrice lastQty openPrice highPrice lowPrice volume quoteVolume "
        "openTime:I closeTime:I firstId:I lastId:I count:I",
    ),
    "premiumIndex": (
        reference.PremiumIndex,
        "symbol markPrice indexPrice estimatedSettlePrice lastFundingRate interestRate nextFundingTime:I time:I",
    ),
    "assetIndex": (
        reference.AssetRate,
        "symbol time:I index bidBuffer askBuffer bidRate askRate autoExchangeBidBuffer autoExchangeAskBuffer autoExchangeBidRate"
        " autoExchangeAskRate",
    ),
    "fundingRate": (reference.FundingRow, "symbol fundingRate fundingTime:I markPrice rateType"),
    "openInterest": (reference.OpenInterest, "symbol openInterest time:I"),
    "openInterestHist": (reference.OpenInterestRow, "symbol sumOpenInterest sumOpenInterestValue CMCCirculatingSupply timestamp:I"),
    "globalLongShortAccountRatio": (reference.LongShortRow, "symbol longShortRatio longAccount shortAccount timestamp:I"),
    "takerlongshortRatio": (reference.TakerRow, "buySellRatio buyVol sellVol timestamp:I"),
    "basis": (
        reference.BasisRow,
        "pair contractType indexPrice futuresPrice basis basisRate annualizedBasisRate timestamp:I",
    ),
    "delivery-price": (reference.DeliveryPrice, "deliveryTime:I deliveryPrice:D"),
    "trades": (reference.PublicTrade, "id:I price qty quoteQty time:I isBuyerMaker:B isRPITrade:B"),
    "aggTrades": (reference.AggTradeRow, "a:I p q nq f:I l:I T:I m:B"),
    "leverageBracket": (reference.LeverageTiers, "symbol brackets notionalCoef:D"),
    "leverageBracket tier": (
        reference.LeverageTier,
        "bracket:I initialLeverage:I notionalCap:D notionalFloor:D maintMarginRatio:D cum:D",
    ),
}


@pytest.mark.parametrize("call", DOCUMENTED)
def test_an_answer_with_its_documented_keys_decodes(call: str) -> None:
    kind, body = body_of(DOCUMENTED, call)
    census = codec.Census()
    message = codec.decode(kind, written(body).encode(), census)
    assert not census.unknown
    assert json.loads(codec.encode(message), parse_float=Decimal) == body


def test_no_class_is_left_out() -> None:
    here = {kind for kind in vars(reference).values() if isinstance(kind, type) and issubclass(kind, Message)}
    assert here - {kind for kind, _ in DOCUMENTED.values()} == {Reply}


@needs_shared
def test_symbol_in_protocol_md_decodes_and_gives_its_rules() -> None:
    text = (SHARED / "protocol.md").read_text()
    (sample,) = re.findall(r'^`(\{"symbol":"BTCUSDT".*\})`$', text, re.MULTILINE)
    census = codec.Census()
    info = codec.decode(reference.SymbolInfo, sample.encode(), census)
    assert not census.unknown
    assert json.loads(codec.encode(info)) == json.loads(sample)
    assert Filters.of(info) == Filters(
        min_price=Decimal(100),
        max_price=Decimal(4_000_000),
        tick=Decimal("0.10"),
        lot=LotSize(Decimal("0.001"), Decimal(1000), Decimal("0.001")),
        market_lot=LotSize(Decimal("0.001"), Decimal(120), Decimal("0.001")),
        max_orders=200,
        min_notional=Decimal(50),
        multiplier_up=Decimal("1.05"),
        multiplier_down=Decimal("0.95"),
        price_precision=2,
        quantity_precision=3,
    )


def test_an_unknown_filter_breaks_nothing() -> None:
    rows = [{"filterType": "MOON_PHASE", "phase": 0.5, "nested": [{"a": None}]}, {"filterType": "MAX_NUM_ORDERS", "limit": 200}]
    info = codec.decode(reference.SymbolInfo, written({**example(reference.SymbolInfo), "filters": rows}).encode(), codec.Census())
    assert Filters.of(info).unknown == ("MOON_PHASE",)
    assert Filters.of(info).max_orders == 200


def test_a_new_state_of_a_contract_is_kept() -> None:
    body = {**example(reference.SymbolInfo), "status": "RESTING", "contractType": ""}
    census = codec.Census()
    info = codec.decode(reference.SymbolInfo, written(body).encode(), census)
    assert not info.status.known
    assert info.status == "RESTING"
    assert census.unknown == {"SymbolInfo.status=RESTING": 1}
    assert ContractStatus("TRADING") is ContractStatus.TRADING


def test_unknown_keys_of_a_symbol_are_kept_and_counted_there() -> None:
    census, symbol = codec.Census(), example(reference.SymbolInfo)
    body = {**example(reference.ExchangeInfo), "symbols": [symbol, {**symbol, "zz": 1}], "yy": 2}
    info = codec.decode(reference.ExchangeInfo, written(body).encode(), census)
    assert (info.extra, info.symbols[0].extra, info.symbols[1].extra) == ({"yy": 2}, None, {"zz": 1})
    assert census.unknown == {"ExchangeInfo.yy": 1, "ExchangeInfo.symbols.zz": 1}


def test_a_snapshot_needs_its_update_id_and_both_sides() -> None:
    for key in ("lastUpdateId", "bids", "asks"):
        body = {name: value for name, value in example(reference.Depth).items() if name != key}
        with pytest.raises(DecodeError):
            codec.decode(reference.Depth, written(body).encode(), codec.Census())
    bare = codec.decode(reference.Depth, b'{"lastUpdateId":1,"bids":[],"asks":[]}', codec.Census())
    assert (bare.event_ms, bare.traded_ms) == (msgspec.UNSET, msgspec.UNSET)
