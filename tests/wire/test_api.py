"""The WebSocket API: its methods, its requests from any client, its answers matched by id."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.errors import DecodeError
from coldframe.wire import api
from coldframe.wire import requests as ask
from coldframe.wire.api import METHODS, Security, method_of
from coldframe.wire.codec import Census, decode
from coldframe.wire.replies import ErrorBody, OrderReply
from coldframe.wire.weights import Pool
from tests.wire.common import COMMON_PARAMETERS
from tests.wire.shapes import example, written

#: Method to what it needs, its weight without parameters, and the orders it takes (protocol.md 7, "Methods known"; seeds/004).
TABLE: dict[str, tuple[Security, int, int]] = {
    "session.logon": (Security.SIGNED, 2, 0),
    "session.status": (Security.NONE, 2, 0),
    "session.logout": (Security.NONE, 2, 0),
    "depth": (Security.NONE, 10, 0),
    "ticker.price": (Security.NONE, 2, 0),
    "ticker.book": (Security.NONE, 5, 0),
    "order.place": (Security.SIGNED, 0, 1),
    "order.modify": (Security.SIGNED, 0, 1),
    "order.cancel": (Security.SIGNED, 1, 0),
    "order.status": (Security.SIGNED, 1, 0),
    "algoOrder.place": (Security.SIGNED, 0, 1),
    "algoOrder.cancel": (Security.SIGNED, 1, 0),
    **{
        f"{version}account.{what}": (Security.SIGNED, 5, 0) for version in ("", "v2/") for what in ("position", "balance", "status")
    },
    **{f"userDataStream.{verb}": (Security.KEY, 5, 0) for verb in ("start", "ping", "stop")},
}


def test_the_methods_are_those_of_the_venue() -> None:
    assert set(METHODS) == set(TABLE)
    assert all(method.name == name for name, method in METHODS.items())


@pytest.mark.parametrize("name", TABLE)
def test_what_a_method_needs_and_costs(name: str) -> None:
    method, (security, weight, orders) = METHODS[name], TABLE[name]
    assert method.security is security
    assert (method.cost.weight({}), method.cost.orders_10s, method.cost.orders_1m) == (weight, orders, orders)
    assert method.cost.pool is Pool.WEIGHT


def test_one_symbol_is_cheaper_than_all() -> None:
    single = {"symbol": "BTCUSDT"}
    assert (METHODS["ticker.price"].cost.weight(single), METHODS["ticker.book"].cost.weight(single)) == (1, 2)
    assert METHODS["depth"].cost.weight({**single, "limit": "5"}) == 2


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("order.place", "order.place"),
        ("v1/order.place", "order.place"),
        ("v3/order.place", "order.place"),
        ("v2/account.status", "v2/account.status"),
        ("v1/account.status", "account.status"),
        ("account.status", "account.status"),
        ("v/order.place", None),
        ("vx/order.place", None),
        ("1/order.place", None),
        ("order.cancelAll", None),
        ("", None),
        ("v1/", None),
    ],
)
def test_a_method_is_found_with_or_without_its_version(name: str, found: str | None) -> None:
    method = method_of(name)
    assert (method.name if method else None) == found


PARAMS = st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.integers(-(2**63), 2**63 - 1), max_size=5)


@given(st.text(max_size=36) | st.integers(0, 2**63 - 1), st.sampled_from(sorted(METHODS)), PARAMS)
def test_what_the_bot_asks_the_venue_reads(request_id: int | str, method: str, params: dict[str, str | int]) -> None:
    request = api.parse_request(api.request_frame(request_id, method, params))
    assert (request.id, request.method, request.params) == (request_id, method, params)


@pytest.mark.parametrize("request_id", [0, 1, -1, None, "", "9ca10e58-7452-467e-9454-f669bb9c764e", "deadbeef", 2**63 - 1])
def test_any_id_is_echoed(request_id: int | str | None) -> None:
    frame = json.dumps({"id": request_id, "method": "session.status"}).encode()
    request = api.parse_request(frame)
    assert (request.id, request.params) == (request_id, {})


def test_the_seeds_common_parameters_are_no_ones_own() -> None:
    own = {field.encode_name for method in METHODS.values() for field in msgspec.structs.fields(method.request)}
    assert not own & COMMON_PARAMETERS
    assert not isinstance(ask.read(ask.NoParameters, dict.fromkeys(COMMON_PARAMETERS, "1")), ask.Fault)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"id":1}',
        b'{"method":"depth"}',
        b'{"id":1.5,"method":"depth"}',
        b'{"id":true,"method":"depth"}',
        b'{"id":1,"method":5}',
        b'{"id":1,"method":"depth","params":[]}',
        b'{"id":1,"method":"depth"}x',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_request_is_a_decode_error(frame: bytes) -> None:
    with pytest.raises(DecodeError):
        api.parse_request(frame)


# -- answers ----------------------------------------------------------------------------------------------------------

LIMIT = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300, "count": 1}


def reply_of(**changes: Any) -> api.ApiReply:
    return api.parse_reply(json.dumps({"id": "a", "status": 200, **changes}).encode())


def test_a_result_stays_bytes_until_its_class_is_known() -> None:
    reply = api.parse_reply(b'{"id":"a","status":200,"result":{"price" : "0.10"},"rateLimits":[]}')
    assert isinstance(reply.result, msgspec.Raw)
    assert bytes(reply.result) == b'{"price" : "0.10"}'
    assert (reply.error, reply.rate_limits) == (msgspec.UNSET, ())
    assert bytes(reply_of(result=None).result) == b"null"  # type: ignore[arg-type]


def test_rate_limits_may_be_switched_off() -> None:
    assert reply_of(result={}).rate_limits is msgspec.UNSET
    (limit,) = reply_of(result={}, rateLimits=[LIMIT]).rate_limits  # type: ignore[misc]
    assert (limit.rate_limit_type, limit.interval, limit.interval_num, limit.limit, limit.count) == ("ORDERS", "SECOND", 10, 300, 1)


def test_an_error_without_an_id_speaks_of_the_session() -> None:
    reply = reply_of(id=None, status=401, error={"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."})
    assert reply.id is None
    assert reply.error == ErrorBody(-2015, "Invalid API-key, IP, or permissions for action.")


def test_data_beside_an_error_does_not_hurt() -> None:
    error = {"code": -1003, "msg": "banned", "data": {"serverTime": 1, "retryAfter": 2}}
    reply = reply_of(status=418, error=error, zz=1)
    assert isinstance(reply.error, ErrorBody)
    assert (reply.error.code, reply.error.msg, reply.error.extra) == (-1003, "banned", {"data": error["data"]})


def test_unknown_keys_of_an_answer_are_counted_not_ignored() -> None:
    census = Census()
    for _ in range(2):
        frame = (
            b'{"id":1,"status":200,"result":{"a":{"b":1}},"rateLimits":[{"yy":1,%b],"zz":[{"k":1}]}'
            % json.dumps(LIMIT).encode()[1:]
        )
        reply = api.parse_reply(frame, census)
    assert reply.extra == {"zz": [{"k": 1}]}
    assert census.unknown == {"ApiReply.zz": 2, "ApiReply.rateLimits.yy": 2}


def test_a_doubled_key_of_a_result_is_refused_by_its_class() -> None:
    body = written(example(OrderReply)).encode()
    reply = api.parse_reply(b'{"id":1,"status":200,"result":%b,"orderId":1}}' % body[:-1])
    assert isinstance(reply.result, msgspec.Raw)
    with pytest.raises(DecodeError, match="'orderId' stands twice"):
        decode(OrderReply, bytes(reply.result), Census())


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{}",
        b"[]",
        b'{"id":1,"status":200}',
        b'{"status":200,"result":{}}',
        b'{"id":1,"result":{}}',
        b'{"id":1,"status":"200","result":{}}',
        b'{"id":1,"status":200,"result":{},"error":{"code":-1,"msg":"x"}}',
        b'{"id":1,"status":400,"error":{"code":-1}}',
        b'{"id":1,"status":400,"error":{"code":"-1","msg":"x"}}',
        b'{"id":1,"status":400,"error":null}',
        b'{"id":1,"status":200,"result":{},"rateLimits":null}',
        b'{"id":1,"status":200,"result":{},"rateLimits":[{}]}',
        b'{"id":1,"status":200,"status":400,"result":{}}',
        b'{"id":1,"id":2,"status":200,"result":{}}',
        b'{"id":1,"status":200,"result":{"a":1},"result":{"a":2}}',
        b'{"id":1,"status":200,"result":{},"rateLimits":[{"limit":1,"limit":2}]}',
        b'{"id":1,"status":400,"error":{"code":-1,"msg":"x","msg":"y"}}',
        b'{"id":1,"status":400,"error":{"code":-1,"msg":"x"},"zz":{"a":1,"a":1}}',
        b'{"id":1,"status":200,"result":{},"zz":1e-99999999999999999999}',
        b'{"id":1,"status":200,"result":NaN}',
        b'{"id":1,"status":200,"result":{"a":1e400}}',
        b'{"id":1,"status":200,"result":"\xff"}',
    ],
)
def test_what_is_no_answer_is_a_decode_error(frame: bytes) -> None:
    with pytest.raises(DecodeError):
        api.parse_reply(frame)


@given(
    st.integers(-(2**63), 2**63 - 1) | st.none() | st.text(max_size=36),
    st.integers(200, 599),
    st.integers(-9999, -1),
    st.text(max_size=9),
)
def test_what_the_venue_answers_the_bot_reads(request_id: int | str | None, status: int, code: int, msg: str) -> None:
    refused = api.ApiReply(id=request_id, status=status, error=ErrorBody(code, msg))
    assert api.parse_reply(msgspec.json.encode(refused)) == refused
    done = api.ApiReply(id=request_id, status=200, result=msgspec.Raw(b"[1]"))
    read = api.parse_reply(msgspec.json.encode(done))
    assert (read.id, bytes(read.result)) == (request_id, b"[1]")  # type: ignore[arg-type]
