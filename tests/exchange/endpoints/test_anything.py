"""Whatever a caller sends, the venue answers: no parameters and no frame bring it down."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.exchange.endpoints.authentic import Key
from coldframe.exchange.endpoints.rest import Rest, RestRequest
from coldframe.exchange.endpoints.session import ApiSession
from coldframe.wire.api import METHODS
from coldframe.wire.rest import ENDPOINTS
from tests.examples import examples
from tests.exchange.rig import START_MS, SYMBOL, Rig

_VALUES = st.sampled_from(
    [
        *["", "0", "-1", "1", "2", "5", "0.001", "0.0000000000000000001", "1e3", "NaN", "99999999999999999999", "٣", "true", "no"],
        *["BUY", "SELL", "LIMIT", "MARKET", "STOP_MARKET", "TRAILING_STOP_MARKET", "GTC", "GTD", "FOK", "BOTH", "LONG", "QUEUE"],
        *[
            SYMBOL,
            "NOSUCH",
            "币安人生USDT",
            "1m",
            "1M",
            "PERPETUAL",
            "CONDITIONAL",
            "ISOLATED",
            "[]",
            "[1]",
            '["a"]',
            '[{"symbol":1}]',
        ],
        *["1000.0", "990.0", "1010.0", str(START_MS), str(START_MS + 700_000), "x" * 100, "\x00", "[[[[", "%"],
    ]
)
_NAMES = sorted({field.encode_name for endpoint in ENDPOINTS.values() for field in msgspec.structs.fields(endpoint.request)})
_PARAMS = st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=8)


class _Open(Rest):
    """REST whose every request comes from account `a`, signed or not."""

    def _authenticate(self, *args: object) -> Key:
        found = self._exchange.keys.find(rig_keys(self))
        assert isinstance(found, Key)
        return found


def rig_keys(rest: Rest) -> str:
    return next(iter(rest._exchange.keys._keys))


@pytest.mark.parametrize("name", [f"{verb} {path}" for verb, path in ENDPOINTS])
@settings(max_examples=examples(40))
@given(st.lists(_PARAMS, min_size=1, max_size=6))
def test_any_parameters_get_an_answer(name: str, calls: list[dict[str, str]]) -> None:
    rig = Rig()
    rig.book()
    rig.place("BUY", "1")
    rest = _Open(rig.exchange)
    verb, path = name.split(" ")
    for params in calls:
        query = "&".join(f"{key}={value}" for key, value in params.items()).encode()
        answer = rest.answer(RestRequest(verb, path, query, {}, b""), rig.now_ms)
        assert answer.status in (200, 400, 429, 418, 503)
        body = msgspec.json.decode(answer.body)
        assert answer.status == 200 or set(body) == {"code", "msg"}
        rig.pass_ms(500)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _VALUES, lambda inner: st.lists(inner, max_size=3)
)


@settings(max_examples=examples(300))
@given(
    st.sampled_from([*METHODS, "nothing"]),
    st.dictionaries(st.sampled_from([*_NAMES, "apiKey", "signature", "timestamp"]), _JSON, max_size=8),
)
def test_any_request_on_the_websocket_api_gets_an_answer(method: str, params: dict[str, object]) -> None:
    rig = Rig()
    session = ApiSession(rig.exchange, rig.now_ms, shows_limits=True)
    session._key = rig.exchange.keys.find(rig.keys[0].ed25519_api_key)  # type: ignore[assignment]
    params = {"timestamp": rig.now_ms} | params
    body = msgspec.json.decode(session.answer(msgspec.json.encode({"id": 1, "method": method, "params": params}), rig.now_ms))
    assert body["id"] == 1
    assert ("result" in body) != ("error" in body)


@settings(max_examples=examples(300))
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_on_the_websocket_api_get_an_answer(frame: bytes) -> None:
    rig = Rig()
    session = ApiSession(rig.exchange, rig.now_ms, shows_limits=False)
    assert msgspec.json.decode(session.answer(frame, rig.now_ms))["status"] == 400
    session.wants_book(frame)
