"""REST: the calls as data, and what status codes and headers say.

A refused call still costs its weight; a 5xx says nothing about the outcome unless its body does.
Source: protocol.md 6.1 to 6.4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import attrs

from coldframe.errors import DecodeError
from coldframe.wire import requests as ask
from coldframe.wire.api import Security
from coldframe.wire.codes import CODES, CodeClass, classify
from coldframe.wire.replies import ErrorBody
from coldframe.wire.strict import read_as
from coldframe.wire.weights import BATCH, ORDER, Cost, Pool, by_depth, by_klines, by_symbol, flat

USED_WEIGHT_HEADER: Final = "x-mbx-used-weight-1m"
ORDER_COUNT_10S_HEADER: Final = "x-mbx-order-count-10s"
ORDER_COUNT_1M_HEADER: Final = "x-mbx-order-count-1m"
API_KEY_HEADER: Final = "X-MBX-APIKEY"

_BANNED_UNTIL: Final = re.compile(rb"banned until ([0-9]{10,16})")
#: How long to stay away when a ban names no end (protocol.md 6.2: at least two minutes).
BAN_WITHOUT_END_MS: Final = 120_000
#: The venue bans for three days at most (protocol.md 6.2): a longer time is a slip of an answer, and must not silence us for ever.
LONGEST_BAN_MS: Final = 3 * 86_400_000


@attrs.frozen
class Endpoint:
    """One call: verb and path, the class of its parameters, what it needs, what it costs."""

    verb: str
    path: str
    request: type[ask.Request]
    security: Security
    cost: Cost


_N, _K, _S = Security.NONE, Security.KEY, Security.SIGNED
_NONE, _SYMBOL, _MAYBE = ask.NoParameters, ask.SymbolOnly, ask.MaybeSymbol
_FUNDING: Final = Cost(flat(1), pool=Pool.FUNDING)
_DATA: Final = Cost(flat(1), pool=Pool.DATA)

_CALLS: Final[tuple[tuple[str, type[ask.Request], Security, Cost], ...]] = (
    # market
    ("GET /fapi/v1/ping", _NONE, _N, Cost(flat(1))),
    ("GET /fapi/v1/time", _NONE, _N, Cost(flat(1))),
    ("GET /fapi/v1/exchangeInfo", _NONE, _N, Cost(flat(1))),
    ("GET /fapi/v1/depth", ask.DepthQuery, _N, Cost(by_depth)),
    ("GET /fapi/v1/rpiDepth", ask.DepthQuery, _N, Cost(flat(20))),
    ("GET /fapi/v1/trades", ask.TradesQuery, _N, Cost(flat(5))),
    ("GET /fapi/v1/historicalTrades", ask.OlderTradesQuery, _K, Cost(flat(200))),
    ("GET /fapi/v1/aggTrades", ask.AggTradesQuery, _N, Cost(flat(20))),
    ("GET /fapi/v1/klines", ask.KlineQuery, _N, Cost(by_klines)),
    ("GET /fapi/v1/continuousKlines", ask.ContinuousKlineQuery, _N, Cost(by_klines)),
    ("GET /fapi/v1/indexPriceKlines", ask.PairKlineQuery, _N, Cost(by_klines)),
    ("GET /fapi/v1/markPriceKlines", ask.KlineQuery, _N, Cost(by_klines)),
    ("GET /fapi/v1/premiumIndexKlines", ask.KlineQuery, _N, Cost(by_klines)),
    ("GET /fapi/v1/premiumIndex", _MAYBE, _N, Cost(by_symbol(1, 10))),
    ("GET /fapi/v1/fundingRate", ask.SymbolSpan, _N, _FUNDING),
    ("GET /fapi/v1/fundingInfo", _NONE, _N, _FUNDING),
    ("GET /fapi/v1/openInterest", _SYMBOL, _N, Cost(flat(1))),
    ("GET /fapi/v1/ticker/24hr", _MAYBE, _N, Cost(by_symbol(1, 40))),
    ("GET /fapi/v1/ticker/price", _MAYBE, _N, Cost(by_symbol(1, 2))),
    ("GET /fapi/v2/ticker/price", _MAYBE, _N, Cost(by_symbol(1, 2))),
    ("GET /fapi/v1/ticker/bookTicker", _MAYBE, _N, Cost(by_symbol(2, 5))),
    ("GET /fapi/v1/indexInfo", _MAYBE, _N, Cost(flat(1))),
    ("GET /fapi/v1/assetIndex", _MAYBE, _N, Cost(by_symbol(1, 10))),
    ("GET /fapi/v1/constituents", _SYMBOL, _N, Cost(flat(2))),
    ("GET /fapi/v1/insuranceBalance", _MAYBE, _N, Cost(flat(1))),
    ("GET /fapi/v1/symbolAdlRisk", _MAYBE, _N, Cost(flat(1))),
    ("GET /fapi/v1/tradingSchedule", _NONE, _N, Cost(flat(5))),
    ("GET /futures/data/openInterestHist", ask.StatisticsQuery, _N, _DATA),
    ("GET /futures/data/topLongShortPositionRatio", ask.StatisticsQuery, _N, _DATA),
    ("GET /futures/data/topLongShortAccountRatio", ask.StatisticsQuery, _N, _DATA),
    ("GET /futures/data/globalLongShortAccountRatio", ask.StatisticsQuery, _N, _DATA),
    ("GET /futures/data/takerlongshortRatio", ask.StatisticsQuery, _N, _DATA),
    ("GET /futures/data/basis", ask.BasisQuery, _N, _DATA),
    ("GET /futures/data/delivery-price", ask.PairOnly, _N, _DATA),
    # user stream
    ("POST /fapi/v1/listenKey", _NONE, _K, Cost(flat(1))),
    ("PUT /fapi/v1/listenKey", _NONE, _K, Cost(flat(1))),
    ("DELETE /fapi/v1/listenKey", _NONE, _K, Cost(flat(1))),
    # trade
    ("POST /fapi/v1/order", ask.PlaceOrder, _S, ORDER),
    ("POST /fapi/v1/order/test", ask.PlaceOrder, _S, Cost(flat(0))),
    ("PUT /fapi/v1/order", ask.ModifyOrder, _S, ORDER),
    ("DELETE /fapi/v1/order", ask.OrderRef, _S, Cost(flat(1))),
    ("GET /fapi/v1/order", ask.OrderRef, _S, Cost(flat(1))),
    ("POST /fapi/v1/batchOrders", ask.BatchPlace, _S, BATCH),
    ("PUT /fapi/v1/batchOrders", ask.BatchPlace, _S, BATCH),
    ("DELETE /fapi/v1/batchOrders", ask.BatchCancel, _S, Cost(flat(1))),
    ("DELETE /fapi/v1/allOpenOrders", _SYMBOL, _S, Cost(flat(1))),
    ("POST /fapi/v1/countdownCancelAll", ask.Countdown, _S, Cost(flat(10))),
    ("GET /fapi/v1/openOrder", ask.OrderRef, _S, Cost(flat(1))),
    ("GET /fapi/v1/openOrders", _MAYBE, _S, Cost(by_symbol(1, 40))),
    ("GET /fapi/v1/allOrders", ask.OrdersQuery, _S, Cost(flat(5))),
    ("GET /fapi/v1/orderAmendment", ask.AmendmentsQuery, _S, Cost(flat(1))),
    ("GET /fapi/v1/userTrades", ask.UserTradesQuery, _S, Cost(flat(5))),
    ("POST /fapi/v1/algoOrder", ask.PlaceAlgo, _S, ORDER),
    ("DELETE /fapi/v1/algoOrder", ask.AlgoRef, _S, Cost(flat(1))),
    ("GET /fapi/v1/algoOrder", ask.AlgoRef, _S, Cost(flat(1))),
    ("DELETE /fapi/v1/algoOpenOrders", _SYMBOL, _S, Cost(flat(1))),
    ("GET /fapi/v1/openAlgoOrders", ask.OpenAlgosQuery, _S, Cost(by_symbol(1, 40))),
    ("GET /fapi/v1/allAlgoOrders", ask.AlgosQuery, _S, Cost(flat(5))),
    # account
    ("GET /fapi/v2/positionRisk", _MAYBE, _S, Cost(flat(5))),
    ("GET /fapi/v3/positionRisk", _MAYBE, _S, Cost(flat(5))),
    ("GET /fapi/v2/balance", _NONE, _S, Cost(flat(5))),
    ("GET /fapi/v3/balance", _NONE, _S, Cost(flat(5))),
    ("GET /fapi/v2/account", _NONE, _S, Cost(flat(5))),
    ("GET /fapi/v3/account", _NONE, _S, Cost(flat(5))),
    ("GET /fapi/v1/accountConfig", _NONE, _S, Cost(flat(5))),
    ("GET /fapi/v1/symbolConfig", _MAYBE, _S, Cost(flat(5))),
    ("GET /fapi/v1/commissionRate", _SYMBOL, _S, Cost(flat(20))),
    ("GET /fapi/v1/leverageBracket", _MAYBE, _S, Cost(flat(1))),
    ("GET /fapi/v1/rateLimit/order", _NONE, _S, Cost(flat(1))),
    ("GET /fapi/v1/income", ask.IncomeQuery, _S, Cost(flat(30))),
    ("GET /fapi/v1/adlQuantile", _MAYBE, _S, Cost(flat(5))),
    ("GET /fapi/v1/forceOrders", ask.ForceOrdersQuery, _S, Cost(by_symbol(20, 50))),
    ("GET /fapi/v1/apiTradingStatus", _MAYBE, _S, Cost(by_symbol(1, 10))),
    ("GET /fapi/v1/feeBurn", _NONE, _S, Cost(flat(30))),
    ("POST /fapi/v1/feeBurn", ask.SetFeeBurn, _S, Cost(flat(1))),
    ("POST /fapi/v1/leverage", ask.SetLeverage, _S, Cost(flat(1))),
    ("POST /fapi/v1/marginType", ask.SetMarginType, _S, Cost(flat(1))),
    ("POST /fapi/v1/positionMargin", ask.MovePositionMargin, _S, Cost(flat(1))),
    ("GET /fapi/v1/positionMargin/history", ask.MarginHistoryQuery, _S, Cost(flat(1))),
    ("GET /fapi/v1/positionSide/dual", _NONE, _S, Cost(flat(30))),
    ("POST /fapi/v1/positionSide/dual", ask.SetPositionMode, _S, Cost(flat(1))),
    ("GET /fapi/v1/multiAssetsMargin", _NONE, _S, Cost(flat(30))),
    ("POST /fapi/v1/multiAssetsMargin", ask.SetAssetMode, _S, Cost(flat(1))),
    ("POST /fapi/v1/stock/contract", _NONE, _S, Cost(flat(50))),
)

ENDPOINTS: Final[dict[tuple[str, str], Endpoint]] = {
    (verb, path): Endpoint(verb, path, request, security, cost)
    for call, request, security, cost in _CALLS
    for verb, path in (call.split(" "),)
}


@attrs.frozen
class Answer:
    """What a REST call brought back. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def fault(self) -> ErrorBody | None:
        """The error in the answer; None when the call succeeded."""
        if self.status == 200:
            return None
        try:
            return read_as(ErrorBody, self.body)
        except DecodeError:
            return ErrorBody(0, self.body[:200].decode(errors="replace"))

    @property
    def used_weight_1m(self) -> int | None:
        """The server's count of this minute; None where it is missing or not to be believed (the testnet may say -1)."""
        return _count(self.headers.get(USED_WEIGHT_HEADER))


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 16 else None


def ban_end_ms(answer: Answer, now_ms: int) -> int | None:
    """Until when we may not send anything, in epoch milliseconds; None when the answer is neither a 429 nor a 418.

    The text of a ban carries its end; `Retry-After` counts in seconds; without either, two minutes. Never more than three days.
    """
    if answer.status not in (418, 429):
        return None
    written = _BANNED_UNTIL.search(answer.body)
    if written:
        return min(int(written[1]), now_ms + LONGEST_BAN_MS)
    wait_s = _count(answer.headers.get("retry-after"))
    if wait_s is not None:
        return now_ms + min(wait_s * 1000, LONGEST_BAN_MS)
    return now_ms + (BAN_WITHOUT_END_MS if answer.status == 418 else 60_000 - now_ms % 60_000)


def outcome_class(status: int, fault: ErrorBody | None) -> CodeClass:
    """What a failed request says about its own outcome, on REST and on the WebSocket API alike.

    The code in the body wins over the status (protocol.md 6.2). A negative code that no table lists is a definite refusal with
    status 400, because unknown outcomes have codes of their own (protocol.md 9), and says nothing with any other status.
    """
    code = fault.code if fault else 0
    if code in CODES and classify(code) is not CodeClass.UNKNOWN:
        return classify(code)
    if code < 0 and code not in CODES:
        return CodeClass.REJECT if status == 400 else CodeClass.UNKNOWN
    if status == 503 and fault and fault.msg.startswith(("Service Unavailable", "Internal error; unable to process")):
        return CodeClass.BACK_OFF
    if status in (418, 429):
        return CodeClass.BACK_OFF
    if status in (401, 403, 451):
        return CodeClass.FATAL
    return CodeClass.UNKNOWN
