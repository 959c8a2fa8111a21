"""Keys, signatures and the time of a request."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from coldframe.exchange.endpoints.authentic import Key, KeyRing, check_api_signature, check_rest_signature, check_timing
from coldframe.exchange.keys import AccountKeys
from coldframe.exchange_server.key_files import keys_for
from coldframe.wire.requests import Fault

NOW = 1_700_000_000_000


@pytest.fixture(scope="module")
def keys() -> AccountKeys:
    return keys_for(["main"], None)[0]


@pytest.fixture
def hmac_key(keys: AccountKeys) -> Key:
    found = KeyRing([keys]).find(keys.hmac_api_key)
    assert isinstance(found, Key)
    return found


@pytest.fixture
def ed25519_key(keys: AccountKeys) -> Key:
    found = KeyRing([keys]).find(keys.ed25519_api_key)
    assert isinstance(found, Key)
    return found


def by_hmac(keys: AccountKeys, payload: str) -> str:
    return hmac.new(keys.hmac_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def by_ed25519(keys: AccountKeys, payload: str) -> str:
    private = load_pem_private_key(keys.ed25519_private_pem, password=None)
    assert isinstance(private, Ed25519PrivateKey)
    return base64.b64encode(private.sign(payload.encode())).decode()


def code(result: object) -> int | None:
    return result.code if isinstance(result, Fault) else None


# -- keys -------------------------------------------------------------------------------------------------------------


def test_unknown_and_malformed_keys_have_different_codes(keys: AccountKeys) -> None:
    ring = KeyRing([keys])
    assert code(ring.find("")) == -2014
    assert code(ring.find("too short!")) == -2014
    assert code(ring.find("0" * 64)) == -2015
    ring.revoke(keys.hmac_api_key)
    assert code(ring.find(keys.hmac_api_key)) == -2015


def test_secrets_do_not_show(keys: AccountKeys, hmac_key: Key) -> None:
    shown = repr(keys) + repr(hmac_key)
    assert keys.hmac_secret not in shown
    assert "PRIVATE" not in shown


# -- REST -------------------------------------------------------------------------------------------------------------


def test_rest_signs_query_and_body_one_behind_the_other(keys: AccountKeys, hmac_key: Key) -> None:
    query, body = "symbol=BTCUSDT&side=BUY", "quantity=1&timestamp=5"
    signature = by_hmac(keys, query + body)
    assert check_rest_signature(hmac_key, query.encode(), f"{body}&signature={signature}".encode()) is None
    assert check_rest_signature(hmac_key, f"{query}&signature={signature}".encode(), body.encode()) is None
    assert check_rest_signature(hmac_key, f"{query}&signature={signature.upper()}".encode(), body.encode()) is None
    assert code(check_rest_signature(hmac_key, f"{query}&x=1&signature={signature}".encode(), body.encode())) == -1022


@pytest.mark.parametrize("place", ["{0}&signature={1}", "signature={1}&{0}"])
def test_the_signature_may_stand_anywhere(keys: AccountKeys, hmac_key: Key, place: str) -> None:
    query = "a=1&b=2"
    assert check_rest_signature(hmac_key, place.format(query, by_hmac(keys, query)).encode(), b"") is None


def test_a_missing_signature_has_its_own_code(hmac_key: Key) -> None:
    assert code(check_rest_signature(hmac_key, b"a=1", b"")) == -1102
    assert code(check_rest_signature(hmac_key, b"a=1&signature=", b"")) == -1102


def test_ed25519_signatures_are_accepted_encoded_and_plain(keys: AccountKeys, ed25519_key: Key) -> None:
    for number in range(20):  # some signatures contain a plus sign
        query = f"a={number}"
        signature = by_ed25519(keys, query)
        for written in (quote(signature, safe=""), signature):
            assert check_rest_signature(ed25519_key, f"{query}&signature={written}".encode(), b"") is None
    assert code(check_rest_signature(ed25519_key, b"a=1&signature=nonsense", b"")) == -1022


# -- the WebSocket API ----------------------------------------------------------------------------------------------------


def test_the_api_signs_sorted_parameters_as_text(keys: AccountKeys, ed25519_key: Key) -> None:
    params = {"symbol": "币安人生USDT", "quantity": "1", "timestamp": 5, "returnRateLimits": False, "apiKey": "x"}
    plain = "apiKey=x&quantity=1&returnRateLimits=false&symbol=币安人生USDT&timestamp=5"
    assert check_api_signature(ed25519_key, params | {"signature": by_ed25519(keys, plain)}) is None
    encoded = urlencode(sorted((params | {"returnRateLimits": "false"}).items()))
    assert check_api_signature(ed25519_key, params | {"signature": by_ed25519(keys, encoded)}) is None
    unsorted = "symbol=币安人生USDT&quantity=1&timestamp=5&returnRateLimits=false&apiKey=x"
    assert code(check_api_signature(ed25519_key, params | {"signature": by_ed25519(keys, unsorted)})) == -1022
    assert code(check_api_signature(ed25519_key, params)) == -1102


# -- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"timestamp": str(NOW)}, None),
        ({"timestamp": str(NOW + 999)}, None),
        ({"timestamp": str(NOW + 1000)}, -1021),
        ({"timestamp": str(NOW - 5000)}, None),
        ({"timestamp": str(NOW - 5001)}, -1021),
        ({"timestamp": str(NOW - 9000), "recvWindow": "10000"}, None),
        ({"timestamp": str(NOW), "recvWindow": "60001"}, -1130),
        ({"timestamp": "soon"}, -1102),
        ({}, -1102),
    ],
)
def test_the_times_within_which_a_request_is_taken(params: dict[str, str], expected: int | None) -> None:
    assert code(check_timing(params, NOW)) == expected


def test_both_texts_of_the_timing_code() -> None:
    ahead, behind = check_timing({"timestamp": str(NOW + 5000)}, NOW), check_timing({"timestamp": str(NOW - 9000)}, NOW)
    assert ahead is not None
    assert behind is not None
    assert "1000ms ahead" in ahead.msg
    assert "outside of the recvWindow" in behind.msg
