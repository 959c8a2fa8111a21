"""Answers about orders and accounts have the keys and JSON types that protocol.md 6.6 and 7 list."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from coldframe.enums import OrderStatus
from coldframe.errors import DecodeError
from coldframe.wire import codec, replies
from coldframe.wire.streams import Message
from tests.wire.shapes import example, fields, written

#: The JSON type behind the mark of a documented key; a key without a mark is a text.
TYPES = {"": str, "I": int, "B": bool, "D": Decimal}

_ACK = (
    "orderId:I symbol status clientOrderId price origQty executedQty timeInForce type reduceOnly:B closePosition:B side "
    "positionSide stopPrice workingType priceProtect:B origType priceMatch selfTradePreventionMode goodTillDate:I updateTime:I"
)
_ALGO = (
    "algoId:I clientAlgoId algoType orderType symbol side positionSide timeInForce quantity algoStatus triggerPrice price "
    "icebergQuantity selfTradePreventionMode workingType priceMatch closePosition:B priceProtect:B reduceOnly:B createTime:I "
    "updateTime:I triggerTime:I goodTillDate:I"
)
_TOTALS = (
    "totalInitialMargin totalMaintMargin totalWalletBalance totalUnrealizedProfit totalMarginBalance totalPositionInitialMargin "
    "totalOpenOrderInitialMargin totalCrossWalletBalance totalCrossUnPnl availableBalance maxWithdrawAmount"
)
#: Answer to its class and the keys that protocol.md names for it.
DOCUMENTED: dict[str, tuple[type[Message], str]] = {
    "order.place": (replies.OrderReply, f"{_ACK} cumQty"),
    "order.place before 2026-06-30": (replies.OrderReply, f"{_ACK} cumQty avgPrice cumQuote"),
    "order.modify": (replies.OrderReply, f"{_ACK} cumQty modifyId:I"),
    "order.cancel": (replies.OrderReply, f"{_ACK} cumQty activatePrice priceRate"),
    "order.status": (replies.OrderReply, f"{_ACK} avgPrice cumQuote time:I"),
    "allOrders": (replies.OrderReply, f"{_ACK} avgPrice cumQuote cumBase pair time:I"),
    "algoOrder.place": (replies.AlgoReply, f"{_ALGO} activatePrice callbackRate"),
    "algoOrder query": (replies.AlgoReply, f"{_ALGO} actualOrderId actualPrice actualType actualQty tpOrderType"),
    "algoOrder.cancel": (replies.AlgoCancelled, "algoId:I clientAlgoId code msg"),
    "userTrades": (
        replies.UserTrade,
        "id:I orderId:I symbol price qty quoteQty baseQty commission commissionAsset realizedPnl side positionSide buyer:B maker:B "
        "marginAsset pair time:I",
    ),
    "positionMargin/history": (replies.MarginChange, "symbol type:I deltaType amount asset time:I positionSide"),
    "positionRisk v3": (
        replies.PositionRow,
        "symbol positionSide positionAmt entryPrice breakEvenPrice markPrice unRealizedProfit liquidationPrice isolatedMargin "
        "notional marginAsset isolatedWallet initialMargin maintMargin positionInitialMargin openOrderInitialMargin adl:I "
        "bidNotional askNotional updateTime:I",
    ),
    "positionRisk v2": (
        replies.PositionRow,
        "symbol positionSide positionAmt entryPrice leverage marginType isAutoAddMargin maxNotionalValue",
    ),
    "balance v3": (
        replies.BalanceRow,
        "accountAlias asset balance crossWalletBalance crossUnPnl availableBalance maxWithdrawAmount marginAvailable:B "
        "updateTime:I",
    ),
    "account v3 asset": (
        replies.AccountAsset,
        "asset walletBalance unrealizedProfit marginBalance maintMargin initialMargin positionInitialMargin "
        "openOrderInitialMargin crossWalletBalance crossUnPnl availableBalance maxWithdrawAmount marginAvailable:B updateTime:I",
    ),
    "account v3 position": (
        replies.AccountPosition,
        "symbol positionSide positionAmt unrealizedProfit isolatedMargin notional isolatedWallet initialMargin maintMargin "
        "updateTime:I",
    ),
    "account v3": (replies.AccountStatus, f"{_TOTALS} assets positions"),
    "accountConfig": (
        replies.AccountConfig,
        "feeTier:I canTrade:B canDeposit:B canWithdraw:B dualSidePosition:B multiAssetsMargin:B tradeGroupId:I updateTime:I",
    ),
    "symbolConfig": (replies.SymbolConfig, "symbol marginType isAutoAddMargin:B leverage:I maxNotionalValue"),
    "commissionRate": (replies.CommissionRate, "symbol makerCommissionRate takerCommissionRate rpiCommissionRate"),
    "leverage": (replies.LeverageReply, "leverage:I maxNotionalValue symbol"),
    "positionSide/dual": (replies.PositionMode, "dualSidePosition:B"),
    "multiAssetsMargin": (replies.AssetMode, "multiAssetsMargin:B"),
    "income": (replies.Income, "symbol incomeType income asset info time:I tranId:I tradeId"),
    "listenKey": (replies.ListenKey, "listenKey"),
    "allOpenOrders": (replies.Notice, "code:I msg"),
    "session.logon": (replies.SessionStatus, "apiKey authorizedSince:I connectedSince:I returnRateLimits:B serverTime:I"),
}


def body_of(documented: dict[str, tuple[type[Message], str]], call: str) -> tuple[type[Message], dict[str, Any]]:
    """The class of an answer and an example with exactly its documented keys, their JSON types checked."""
    kind, keys = documented[call]
    whole, body = example(kind), {}
    for entry in keys.split():
        key, _, mark = entry.partition(":")
        body[key] = whole[key]
        assert isinstance(whole[key], list) or type(whole[key]) is TYPES[mark], entry
    return kind, body


@pytest.mark.parametrize("call", DOCUMENTED)
def test_an_answer_with_its_documented_keys_decodes(call: str) -> None:
    kind, body = body_of(DOCUMENTED, call)
    census = codec.Census()
    message = codec.decode(kind, written(body).encode(), census)
    assert not census.unknown
    assert msgspec.json.decode(codec.encode(message)) == msgspec.json.decode(written(body))


def test_no_class_is_left_out() -> None:
    here = {kind for kind in vars(replies).values() if isinstance(kind, type) and issubclass(kind, Message)}
    assert here - {kind for kind, _ in DOCUMENTED.values()} == {Message, replies.Reply, replies.ErrorBody}


def test_an_acknowledgement_says_nothing_about_the_fill() -> None:
    kind, body = body_of(DOCUMENTED, "order.place")
    reply = codec.decode(kind, written(body).encode(), codec.Census())
    assert isinstance(reply, replies.OrderReply)
    assert (reply.avg_price, reply.cum_quote, reply.time) == (msgspec.UNSET,) * 3
    assert reply.status is OrderStatus.NEW


def test_the_position_row_has_its_capital_r() -> None:
    names = {field.encode_name for field in fields(replies.PositionRow)}
    assert "unRealizedProfit" in names
    assert "unrealizedProfit" not in names


def test_empty_balances_of_an_inactive_account_are_taken() -> None:
    body = {**example(replies.BalanceRow), "balance": "", "availableBalance": "", "crossWalletBalance": ""}
    assert codec.decode(replies.BalanceRow, written(body).encode(), codec.Census()).balance == ""


def test_code_of_a_cancelled_algo_order_may_be_text_or_number() -> None:
    for code in ("200", 200):
        payload = written({"algoId": 1, "clientAlgoId": "x", "code": code, "msg": "success"}).encode()
        assert codec.decode(replies.AlgoCancelled, payload, codec.Census()).code == code


def test_a_session_that_is_not_logged_on_has_nulls() -> None:
    payload = written({**example(replies.SessionStatus), "apiKey": None, "authorizedSince": None}).encode()
    status = codec.decode(replies.SessionStatus, payload, codec.Census())
    assert (status.api_key, status.authorized_since) == (None, None)
    with pytest.raises(DecodeError):
        codec.decode(replies.SessionStatus, payload.replace(b"null", b'"x"'), codec.Census())
