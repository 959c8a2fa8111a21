"""The WebSocket API without sockets: log-on, signatures, ids, limits in answers, revocation."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from coldframe.config.venue import VenueLimits
from coldframe.exchange.endpoints import session as session_module
from coldframe.exchange.endpoints.session import ApiSession
from coldframe.wire.api import METHODS
from coldframe.wire.requests import text_of
from tests.exchange.rig import SYMBOL, Rig

LIMIT = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "990.0"}


class Line:
    """One connection of the WebSocket API over a rig."""

    def __init__(self, rig: Rig, *, shows_limits: bool = True) -> None:
        self.rig = rig
        self.keys = rig.keys[0]
        self.session = ApiSession(rig.exchange, rig.now_ms, shows_limits=shows_limits)
        self._private = load_pem_private_key(self.keys.ed25519_private_pem, password=None)

    def ask(self, method: str, params: dict[str, Any] | None = None, request_id: object = 1) -> dict[str, Any]:
        frame = msgspec.json.encode({"id": request_id, "method": method, "params": params or {}})
        return msgspec.json.decode(self.session.answer(frame, self.rig.now_ms))  # type: ignore[no-any-return]

    def signed(self, **params: Any) -> dict[str, Any]:
        assert isinstance(self._private, Ed25519PrivateKey)
        full = {**params, "apiKey": self.keys.ed25519_api_key, "timestamp": self.rig.now_ms}
        payload = "&".join(f"{name}={text_of(full[name])}" for name in sorted(full))
        return full | {"signature": base64.b64encode(self._private.sign(payload.encode())).decode()}

    def stamped(self, **params: Any) -> dict[str, Any]:
        return {**params, "timestamp": self.rig.now_ms}

    def log_on(self) -> dict[str, Any]:
        return self.ask("session.logon", self.signed())


@pytest.fixture
def line() -> Line:
    rig = Rig()
    rig.book()
    return Line(rig)


def test_every_method_has_a_call_or_belongs_to_the_session() -> None:
    assert {name for name in METHODS if not name.startswith("session.")} == set(session_module._CALLS)


@pytest.mark.parametrize("request_id", [0, 7, "9ca10e58-7452-467e-9454-f669bb9c764e", "deadbeef", None])
def test_ids_come_back_as_they_were(line: Line, request_id: object) -> None:
    assert line.ask("session.status", request_id=request_id)["id"] == request_id


def test_log_on_status_and_log_out(line: Line) -> None:
    assert line.ask("session.status")["result"]["apiKey"] is None
    answer = line.log_on()
    assert (answer["status"], answer["result"]["apiKey"]) == (200, line.keys.ed25519_api_key)
    assert answer["result"]["authorizedSince"] == line.rig.now_ms
    assert line.ask("session.status")["result"]["apiKey"] == line.keys.ed25519_api_key
    assert line.ask("session.logout")["result"]["authorizedSince"] is None
    assert line.ask("order.place", line.stamped(**LIMIT))["error"]["code"] == -1102


def test_orders_need_no_key_after_log_on_but_may_carry_one(line: Line) -> None:
    line.log_on()
    assert line.ask("order.place", line.stamped(**LIMIT))["result"]["status"] == "NEW"
    assert line.ask("order.place", line.stamped(**LIMIT, apiKey=line.keys.ed25519_api_key))["status"] == 200
    assert line.ask("order.place", line.signed(**LIMIT))["status"] == 200
    assert line.ask("order.place", LIMIT)["error"]["code"] == -1102


def test_single_requests_may_be_signed_without_log_on(line: Line) -> None:
    assert line.ask("order.place", line.signed(**LIMIT))["status"] == 200
    assert line.ask("order.place", line.signed(**LIMIT, returnRateLimits=False)).get("rateLimits") is None
    bad = line.signed(**LIMIT) | {"quantity": "2"}
    assert line.ask("order.place", bad)["error"]["code"] == -1022
    assert line.ask("order.place", line.stamped(**LIMIT, apiKey=line.keys.ed25519_api_key))["error"]["code"] == -1102


def test_log_on_takes_only_ed25519_keys(line: Line) -> None:
    params = {"apiKey": line.keys.hmac_api_key, "timestamp": line.rig.now_ms}
    payload = f"apiKey={params['apiKey']}&timestamp={params['timestamp']}"
    signature = hmac.new(line.keys.hmac_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    answer = line.ask("session.logon", params | {"signature": signature})
    assert answer["error"] == {"code": -4056, "msg": "Invalid api key type."}


def test_a_clock_that_is_off_is_told_so(line: Line) -> None:
    params = line.signed()
    line.rig.now_ms += 6000
    assert line.ask("session.logon", params)["error"]["code"] == -1021


def test_a_revoked_key_ends_the_session_with_the_next_request(line: Line) -> None:
    line.log_on()
    line.rig.exchange.keys.revoke(line.keys.ed25519_api_key)
    answer = line.ask("order.place", line.stamped(**LIMIT))
    assert answer == {
        "id": None,
        "status": 401,
        "error": {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."},
    }
    assert line.ask("session.status")["result"]["apiKey"] is None


def test_unknown_keys_and_methods(line: Line) -> None:
    assert line.ask("order.place", line.stamped(**LIMIT, apiKey="0" * 64, signature="x"))["status"] == 401
    assert line.ask("userDataStream.start", {"apiKey": "short"})["error"]["code"] == -2014
    assert line.ask("order.cancelAll")["error"]["code"] == -1020
    frame = line.session.answer(b"{nonsense", line.rig.now_ms)
    assert msgspec.json.decode(frame) == {"id": None, "status": 400, "error": {"code": -1000, "msg": "Invalid JSON request."}}


@pytest.mark.parametrize(
    ("frame", "request_id"),
    [
        (b'{"id":"one","method":"session.status","params":[]}', "one"),
        (b'{"id":7,"method":"session.status","params":[{"a":1}]}', 7),
        (b'{"id":7,"params":{}}', 7),
        (b'{"id":7,"method":5}', 7),
        (b'{"id":7}', 7),
        (b'{"id":7', None),
        (b'{"id":[7],"method":"session.status"}', None),
        (b'{"id":7.5}', None),
        (b'["id",7]', None),
        (b"\xff", None),
        (b'{"id":7,"a":' + b"[" * 100_000, None),
    ],
)
def test_malformed_request_is_refused_under_its_id_if_readable(line: Line, frame: bytes, request_id: object) -> None:
    answer = msgspec.json.decode(line.session.answer(frame, line.rig.now_ms))
    assert (answer["id"], answer["status"], answer["error"]["code"]) == (request_id, 400, -1000)


def test_a_method_may_carry_a_version(line: Line) -> None:
    assert line.ask("v1/ticker.price", {"symbol": SYMBOL})["status"] == 200


def test_limits_stand_in_answers(line: Line) -> None:
    answer = line.ask("ticker.price", {"symbol": SYMBOL})
    assert answer["rateLimits"] == [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400, "count": 1}
    ]
    rows = line.ask("order.place", line.signed(**LIMIT))["rateLimits"]
    assert [(row["rateLimitType"], row["interval"], row["count"]) for row in rows] == [
        ("REQUEST_WEIGHT", "MINUTE", 1),
        ("ORDERS", "SECOND", 1),
        ("ORDERS", "MINUTE", 1),
    ]


def test_rate_limits_can_be_shown_per_connection_or_per_request() -> None:
    rig = Rig()
    line = Line(rig, shows_limits=False)
    assert "rateLimits" not in line.ask("ticker.price", {"symbol": SYMBOL})
    assert "rateLimits" in line.ask("ticker.price", {"symbol": SYMBOL, "returnRateLimits": True})
    assert line.ask("session.status")["result"]["returnRateLimits"] is False


def test_weight_and_orders_are_bounded() -> None:
    rig = Rig(limits=VenueLimits(weight_1m=4, orders_10s=1))
    rig.book()
    line = Line(rig)
    assert line.ask("order.place", line.signed(**LIMIT))["status"] == 200
    answer = line.ask("order.place", line.signed(**LIMIT))
    assert (answer["status"], answer["error"]["code"]) == (429, -1015)
    statuses = [line.ask("session.status")["status"] for _ in range(4)]
    assert statuses == [200, 200, 429, 418]


def test_listen_keys_need_a_key_and_no_signature(line: Line) -> None:
    params = {"apiKey": line.keys.hmac_api_key}
    started = line.ask("userDataStream.start", params)["result"]["listenKey"]
    assert line.ask("userDataStream.ping", params)["result"]["listenKey"] == started
    assert line.ask("userDataStream.stop", params)["result"] == {}
    assert line.ask("userDataStream.ping", params)["error"]["code"] == -1125


@pytest.mark.parametrize("method", [name for name in METHODS if "account." in name])
def test_account_methods_answer(line: Line, method: str) -> None:
    line.log_on()
    line.ask("order.place", line.stamped(**LIMIT))
    result = line.ask(method, line.stamped())["result"]
    row = result if isinstance(result, dict) else result[0]
    assert row


def test_v1_lists_name_all_symbols_and_v2_lists_only_held_ones(line: Line) -> None:
    line.log_on()
    assert len(line.ask("account.position", line.stamped())["result"]) == 1
    assert line.ask("v2/account.position", line.stamped())["result"] == []
    old, new = (line.ask(f"{version}account.status", line.stamped())["result"] for version in ("", "v2/"))
    assert (old["canTrade"], old["positions"][0]["leverage"]) == (True, "20")
    assert "canTrade" not in new
    assert new["positions"] == []
