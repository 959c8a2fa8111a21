"""REST: the calls with their costs, bans, and what a failed call says about its outcome."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.wire import requests as ask
from coldframe.wire.api import Security
from coldframe.wire.codes import CODES, CodeClass
from coldframe.wire.replies import ErrorBody
from coldframe.wire.rest import BAN_WITHOUT_END_MS, ENDPOINTS, LONGEST_BAN_MS, Answer, ban_end_ms, outcome_class
from coldframe.wire.weights import Pool

#: Call to its weight for one symbol and for all of them, from protocol.md 6.4 (`/fapi/v1` left out).
WEIGHTS: dict[str, tuple[int, int]] = {
    "GET ping": (1, 1),
    "GET time": (1, 1),
    "GET exchangeInfo": (1, 1),
    "GET depth": (10, 10),
    "GET rpiDepth": (20, 20),
    "GET trades": (5, 5),
    "GET historicalTrades": (200, 200),
    "GET aggTrades": (20, 20),
    "GET klines": (5, 5),
    "GET continuousKlines": (5, 5),
    "GET indexPriceKlines": (5, 5),
    "GET markPriceKlines": (5, 5),
    "GET premiumIndexKlines": (5, 5),
    "GET premiumIndex": (1, 10),
    "GET openInterest": (1, 1),
    "GET ticker/24hr": (1, 40),
    "GET ticker/price": (1, 2),
    "GET v2/ticker/price": (1, 2),
    "GET ticker/bookTicker": (2, 5),
    "GET indexInfo": (1, 1),
    "GET assetIndex": (1, 10),
    "GET constituents": (2, 2),
    "GET insuranceBalance": (1, 1),
    "GET symbolAdlRisk": (1, 1),
    "GET tradingSchedule": (5, 5),
    "POST listenKey": (1, 1),
    "PUT listenKey": (1, 1),
    "DELETE listenKey": (1, 1),
    "DELETE order": (1, 1),
    "GET order": (1, 1),
    "DELETE batchOrders": (1, 1),
    "DELETE allOpenOrders": (1, 1),
    "POST countdownCancelAll": (10, 10),
    "GET openOrder": (1, 1),
    "GET openOrders": (1, 40),
    "GET allOrders": (5, 5),
    "GET orderAmendment": (1, 1),
    "GET userTrades": (5, 5),
    "DELETE algoOrder": (1, 1),
    "GET algoOrder": (1, 1),
    "GET openAlgoOrders": (1, 40),
    "GET allAlgoOrders": (5, 5),
    "GET v3/positionRisk": (5, 5),
    "GET v3/balance": (5, 5),
    "GET v3/account": (5, 5),
    "GET accountConfig": (5, 5),
    "GET symbolConfig": (5, 5),
    "GET commissionRate": (20, 20),
    "GET leverageBracket": (1, 1),
    "GET rateLimit/order": (1, 1),
    "GET income": (30, 30),
    "GET adlQuantile": (5, 5),
    "GET forceOrders": (20, 50),
    "GET apiTradingStatus": (1, 10),
    "GET feeBurn": (30, 30),
    "POST feeBurn": (1, 1),
    "POST leverage": (1, 1),
    "POST marginType": (1, 1),
    "POST positionMargin": (1, 1),
    "GET positionSide/dual": (30, 30),
    "POST positionSide/dual": (1, 1),
    "GET multiAssetsMargin": (30, 30),
    "POST multiAssetsMargin": (1, 1),
    "POST stock/contract": (50, 50),
}
#: Calls that take orders: weight, orders of 10 s, orders of the minute.
ORDERS = {
    "POST order": (0, 1, 1),
    "PUT order": (0, 1, 1),
    "POST algoOrder": (0, 1, 1),
    "POST batchOrders": (5, 5, 1),
    "PUT batchOrders": (5, 5, 1),
}


def endpoint(call: str) -> tuple[str, str]:
    verb, _, path = call.partition(" ")
    return verb, f"/fapi/{path}" if path.startswith("v") else f"/fapi/v1/{path}"


@pytest.mark.parametrize("call", WEIGHTS)
def test_the_weight_of_a_call(call: str) -> None:
    cost = ENDPOINTS[endpoint(call)].cost
    assert (cost.weight({"symbol": "BTCUSDT"}), cost.weight({})) == WEIGHTS[call]
    assert (cost.orders_10s, cost.orders_1m, cost.pool) == (0, 0, Pool.WEIGHT)


@pytest.mark.parametrize("call", ORDERS)
def test_the_orders_that_a_call_takes(call: str) -> None:
    cost = ENDPOINTS[endpoint(call)].cost
    assert (cost.weight({}), cost.orders_10s, cost.orders_1m) == ORDERS[call]


def test_funding_has_a_pool_of_its_own() -> None:
    pools = {path for (_, path), found in ENDPOINTS.items() if found.cost.pool is Pool.FUNDING}
    assert pools == {"/fapi/v1/fundingRate", "/fapi/v1/fundingInfo"}


def test_every_call_knows_itself_and_what_it_needs() -> None:
    for (verb, path), found in ENDPOINTS.items():
        assert (found.verb, found.path) == (verb, path)
        assert verb in ("GET", "POST", "PUT", "DELETE")
    needs = {
        call: ENDPOINTS[endpoint(call)].security for call in ("GET depth", "POST listenKey", "GET historicalTrades", "POST order")
    }
    assert list(needs.values()) == [Security.NONE, Security.KEY, Security.KEY, Security.SIGNED]
    assert ENDPOINTS["POST", "/fapi/v1/order"].request is ask.PlaceOrder
    assert ENDPOINTS["POST", "/fapi/v1/algoOrder"].request is ask.PlaceAlgo


# -- bans -------------------------------------------------------------------------------------------------------------

NOW = 1_700_000_010_000  # ten seconds into a minute
BANNED = b'{"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until 1700000999123. Please use the websocket."}'


@pytest.mark.parametrize(
    ("status", "headers", "body", "end"),
    [
        (418, {}, BANNED, 1_700_000_999_123),
        (418, {"retry-after": "5"}, BANNED, 1_700_000_999_123),
        (429, {}, BANNED, 1_700_000_999_123),
        (418, {"retry-after": "180"}, b"", NOW + 180_000),
        (418, {"retry-after": "259200"}, b"", NOW + 259_200_000),
        (418, {"retry-after": "259201"}, b"", NOW + LONGEST_BAN_MS),
        (429, {"retry-after": "9" * 15}, b"", NOW + LONGEST_BAN_MS),
        (418, {}, b"banned until 9999999999999999.", NOW + LONGEST_BAN_MS),
        (429, {}, b"banned until 1700000010001.", NOW + 1),
        (429, {"retry-after": "7"}, b"{}", NOW + 7_000),
        (418, {}, b"", NOW + BAN_WITHOUT_END_MS),
        (418, {"retry-after": "soon"}, b"<html>", NOW + BAN_WITHOUT_END_MS),
        (418, {"retry-after": "-5"}, b"", NOW + BAN_WITHOUT_END_MS),
        (418, {"retry-after": "9" * 5000}, b"", NOW + BAN_WITHOUT_END_MS),
        (418, {}, b"banned until \xd9\xa1\xd9\xa1", NOW + BAN_WITHOUT_END_MS),
        (418, {}, b"banned until 17", NOW + BAN_WITHOUT_END_MS),
        (418, {}, b"\xff banned until 1700000999123", 1_700_000_999_123),
        (200, {"retry-after": "7"}, BANNED, None),
        (503, {"retry-after": "7"}, b"", None),
        (403, {}, b"", None),
    ],
)
def test_until_when_we_stay_away(status: int, headers: dict[str, str], body: bytes, end: int | None) -> None:
    assert ban_end_ms(Answer(status, headers, body), NOW) == end


def test_a_limit_without_an_end_lasts_to_the_end_of_the_minute() -> None:
    assert NOW % 60_000 != 0
    end = ban_end_ms(Answer(429, {}, b""), NOW)
    assert end is not None
    assert end % 60_000 == 0
    assert NOW < end <= NOW + 60_000
    assert ban_end_ms(Answer(429, {}, b""), end) == end + 60_000


def test_a_ban_without_an_end_lasts_at_least_two_minutes() -> None:
    assert BAN_WITHOUT_END_MS >= 120_000


# -- answers ----------------------------------------------------------------------------------------------------------


def test_the_error_of_an_answer() -> None:
    assert Answer(200, {}, b'{"code":200,"msg":"done"}').fault is None
    assert Answer(400, {}, b'{"code":-1121,"msg":"Invalid symbol."}').fault == ErrorBody(-1121, "Invalid symbol.")
    assert Answer(503, {}, b"Service Unavailable.").fault == ErrorBody(0, "Service Unavailable.")
    assert Answer(403, {}, b"<html>\xff" + b"x" * 1000).fault == ErrorBody(0, "<html>\ufffd" + "x" * 193)
    assert Answer(500, {}, b"[" * 100_000).fault == ErrorBody(0, "[" * 200)
    assert Answer(400, {}, b'{"code":"-1121","msg":"x"}').fault == ErrorBody(0, '{"code":"-1121","msg":"x"}')


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("42", 42),
        ("0", 0),
        (None, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("x", None),
        ("\u0661", None),
        ("\u00b2", None),
        ("9" * 5000, None),
    ],
)
def test_a_used_weight_that_is_none_is_not_believed(text: str | None, count: int | None) -> None:
    headers = {} if text is None else {"x-mbx-used-weight-1m": text}
    assert Answer(200, headers, b"").used_weight_1m == count


C = CodeClass


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        # the rows of protocol.md 6.2
        (400, '{"code":-1121,"msg":"Invalid symbol."}', C.REJECT),
        (400, '{"code":-1102,"msg":"x"}', C.OUR_BUG),
        (400, '{"code":-2011,"msg":"x"}', C.GONE),
        (400, '{"code":-4116,"msg":"x"}', C.DUPLICATE),
        (400, '{"code":-1021,"msg":"x"}', C.CLOCK),
        (401, '{"code":-2015,"msg":"x"}', C.LOG_ON),
        (401, "", C.FATAL),
        (403, "<html>", C.FATAL),
        (408, '{"code":-1007,"msg":"x"}', C.UNKNOWN),
        (408, "", C.UNKNOWN),
        (418, '{"code":-1003,"msg":"banned until 1700000999123"}', C.BACK_OFF),
        (418, "", C.BACK_OFF),
        (429, "", C.BACK_OFF),
        (451, "", C.FATAL),
        (500, "", C.UNKNOWN),
        (502, "<html>Bad Gateway</html>", C.UNKNOWN),
        (504, '{"code":0,"msg":"x"}', C.UNKNOWN),
        # the four kinds of 503, and a body that wins
        (503, "Unknown error, please check your request or try again later.", C.UNKNOWN),
        (503, '{"code":-1000,"msg":"Unknown error, please check your request or try again later."}', C.UNKNOWN),
        (503, "Service Unavailable.", C.BACK_OFF),
        (503, '{"code":0,"msg":"Service Unavailable."}', C.BACK_OFF),
        (503, '{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}', C.BACK_OFF),
        (503, "Internal error; unable to process your request. Please try again.", C.BACK_OFF),
        (503, '{"code":-1008,"msg":"Request throttled by system-level protection."}', C.BACK_OFF),
        (503, '{"code":-2019,"msg":"Margin is insufficient."}', C.REJECT),
        (500, '{"code":-2019,"msg":"Margin is insufficient."}', C.REJECT),
        (503, '{"code":-1006,"msg":"x"}', C.UNKNOWN),
        (503, "", C.UNKNOWN),
        # unknown codes and statuses
        (400, '{"code":-9999,"msg":"x"}', C.REJECT),
        (400, '{"code":-4412,"msg":"Service Unavailable."}', C.REJECT),
        (408, '{"code":-9999,"msg":"x"}', C.UNKNOWN),
        (418, '{"code":-9999,"msg":"x"}', C.UNKNOWN),
        (429, '{"code":-9999,"msg":"x"}', C.UNKNOWN),
        (503, '{"code":-9999,"msg":"Service Unavailable."}', C.UNKNOWN),
        (400, "", C.UNKNOWN),
        (404, "<html>", C.UNKNOWN),
        (302, "", C.UNKNOWN),
        (400, '{"code":5,"msg":"Service Unavailable."}', C.UNKNOWN),
    ],
)
def test_what_a_failed_call_says_about_its_outcome(status: int, body: str, outcome: CodeClass) -> None:
    assert outcome_class(status, Answer(status, {}, body.encode()).fault) is outcome


@given(st.integers(500, 599), st.sampled_from([0, 7, -1, -9999, -1000, -1006, -1007, -1016]), st.text(max_size=30))
def test_a_server_error_never_frees_an_order_by_itself(status: int, code: int, msg: str) -> None:
    assert not outcome_class(status, ErrorBody(code, msg)).definite


@given(st.sampled_from(sorted(CODES)), st.integers(400, 599), st.text(max_size=30))
def test_a_code_that_says_something_wins_over_any_status(code: int, status: int, msg: str) -> None:
    if CODES[code].kind is not C.UNKNOWN:
        assert outcome_class(status, ErrorBody(code, msg)) is CODES[code].kind


@given(st.integers(100, 599), st.binary(max_size=60), st.text(max_size=20))
def test_any_answer_can_be_asked_everything(status: int, body: bytes, header: str) -> None:
    answer = Answer(status, {"retry-after": header, "x-mbx-used-weight-1m": header}, body)
    assert isinstance(outcome_class(status, answer.fault), CodeClass)
    assert ban_end_ms(answer, NOW) is None or status in (418, 429)
    assert answer.used_weight_1m is None or answer.used_weight_1m >= 0
