"""Signatures against every usable vector of the shared file, RFC 8032, and the ones of the protocol notes."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.connectivity.signing import (
    Ed25519Signer,
    HmacSigner,
    RsaSigner,
    Signer,
    api_payload,
    query,
    sign_api,
    sign_query,
    signer_of_pem,
    stamp,
)
from coldframe.secret import Secret
from tests.conftest import SHARED

KEY = Secret("vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A")
FILE = SHARED / "vectors/signatures.json"
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text())["vectors"] if FILE.exists() else []
USABLE = [vector for vector in VECTORS if "unverified" not in vector and "seed_hex" not in vector]

needs_vectors = pytest.mark.skipif(not VECTORS, reason="the folder ../shared with the test vectors is not there")


def pem_of(key: Any, password: bytes | None = None) -> Secret:
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection).decode())


def signer_of(vector: dict[str, Any]) -> Signer:
    if "secret" in vector:
        return HmacSigner(KEY, Secret(vector["secret"]))
    return signer_of_pem(KEY, Secret(vector["private_key_pem"]))


@pytest.mark.parametrize("vector", USABLE, ids=lambda vector: vector["name"])
def test_a_vector_is_reproduced(vector: dict[str, Any]) -> None:
    assert signer_of(vector).sign(vector["payload"].encode()) == vector["signature"]


@needs_vectors
def test_every_algorithm_is_among_the_vectors() -> None:
    assert len(USABLE) == 12
    kinds = {type(signer_of(key)) for key in USABLE}
    assert kinds == {HmacSigner, RsaSigner, Ed25519Signer}


@needs_vectors
def test_api_payload_is_sorted_and_excludes_the_signature() -> None:
    for vector in USABLE:
        if "params" in vector:
            assert api_payload(vector["params"] | {"signature": "x"}).decode() == vector["payload"]


@needs_vectors
def test_a_rest_payload_is_what_is_sent_in_the_order_sent() -> None:
    (vector,) = [vector for vector in VECTORS if vector["name"] == "usdm-doc query string"]
    given = dict(parse_qsl(vector["payload"]))
    timestamp_ms, window_ms = int(given.pop("timestamp")), int(given.pop("recvWindow"))
    text = sign_query(given, signer_of(vector), timestamp_ms, window_ms)
    body, _, signature = text.rpartition("&signature=")
    assert body == query({**given, "timestamp": timestamp_ms, "recvWindow": window_ms})
    assert signature == signer_of(vector).sign(body.encode())


def test_rfc_8032_test_1() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    signer = signer_of_pem(KEY, pem_of(ed25519.Ed25519PrivateKey.from_private_bytes(seed)))
    assert base64.b64decode(signer.sign(b"")).hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


@pytest.mark.parametrize(
    ("payload", "signature"),
    [
        (
            "apiKey=TESTKEY&recvWindow=5000&timestamp=1649729878532",
            "a7w5lWf/gBrVxYrf329h9TV7GJNc3JzBdY7xlCvvxCJzO5QgTZLMsXEqPcKv5dN1qt9le3DK+IhMcrLUhwycBw==",
        ),
        (
            "apiKey=TESTKEY&price=0.20&quantity=1.0000000&side=SELL&symbol=BTCUSDT&timeInForce=GTC&timestamp=1668481559918&type=LIMIT",
            "ZbvoC5fpNYjXWKSA2t2b4ZsbTCEpTMr/qdBMNlW5tykA+6vo2IJFyKKjRC7Elf3PDqV2M2Uq5iwH6fIZY4ppBA==",
        ),
    ],
)
def test_the_vectors_of_the_protocol_notes(payload: str, signature: str) -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert Ed25519Signer(KEY, key).sign(payload.encode()) == signature


# -- what is signed ---------------------------------------------------------------------------------------------------

NAMES = st.text("abcdefghijklmnopqrstuvwxyzABC", min_size=1, max_size=8).filter(
    lambda name: name not in ("signature", "timestamp", "apiKey")
)
VALUES = st.text(max_size=12) | st.integers(0, 10**13)


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_an_api_request_carries_what_was_signed(params: dict[str, str | int]) -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    full = sign_api(params, Ed25519Signer(KEY, key), 1_700_000_000_000, 5_000)
    signature = base64.b64decode(str(full["signature"]))
    key.public_key().verify(signature, api_payload(full))
    names = [pair.split("=", 1)[0] for pair in api_payload(dict.fromkeys(full, "v")).decode().split("&")]
    assert names == sorted(set(full) - {"signature"})
    assert full["timestamp"] == 1_700_000_000_000
    assert full["recvWindow"] == 5_000
    assert full["apiKey"] == KEY.reveal()


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_a_rest_query_reads_back_and_is_ascii(params: dict[str, str | int]) -> None:
    text = sign_query(params, HmacSigner(KEY, Secret("s")), 1_700_000_000_000, 5_000)
    assert text.isascii()
    assert " " not in text
    assert "+" not in text
    payload, _, signature = text.rpartition("&signature=")
    assert unquote(signature) == HmacSigner(KEY, Secret("s")).sign(payload.encode())
    back = dict(pair.split("=", 1) for pair in payload.split("&"))
    wanted = stamp(params, 1_700_000_000_000, 5_000)
    assert {unquote(name): unquote(value) for name, value in back.items()} == {name: str(value) for name, value in wanted.items()}


def test_non_ascii_names_are_signed_as_utf_8_and_quoted_in_rest() -> None:
    params = {"symbol": "币安人生USDT"}
    assert api_payload(params) == "symbol=币安人生USDT".encode()
    assert query(params) == "symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT"


def test_a_base64_signature_is_encoded_in_a_query() -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    text = sign_query({}, Ed25519Signer(KEY, key), 1, 5_000)
    assert not set("+/=") & set(text.rpartition("&signature=")[2])


def test_booleans_are_signed_as_json_prints_them() -> None:
    assert api_payload({"reduceOnly": True, "a": False, "b": None}) == b"a=false&b=&reduceOnly=true"


# -- keys -------------------------------------------------------------------------------------------------------------

RSA_KEY = rsa.generate_private_key(65537, 1024)


def test_only_ed25519_can_log_on() -> None:
    assert signer_of_pem(KEY, pem_of(ed25519.Ed25519PrivateKey.generate())).can_log_on
    assert not signer_of_pem(KEY, pem_of(RSA_KEY)).can_log_on
    assert not HmacSigner(KEY, Secret("s")).can_log_on


BAD_KEYS = {
    "encrypted": (pem_of(ed25519.Ed25519PrivateKey.generate(), b"pass"), "encrypted"),
    "elliptic": (pem_of(ec.generate_private_key(ec.SECP256R1())), "Ed25519 and RSA"),
    "public": (Secret(RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()), "PKCS#8"),
    "hex": (Secret("2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"), "PKCS#8"),
    "empty": (Secret(""), "PKCS#8"),
    "cut off": (Secret(pem_of(RSA_KEY).reveal()[:300]), "PKCS#8"),
    "beyond ascii": (Secret("ключ"), "PKCS#8"),
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_g9_x2_unusable_key_is_refused_without_being_shown(name: str) -> None:
    pem, said = BAD_KEYS[name]
    with pytest.raises(ValueError, match=said) as caught:
        signer_of_pem(KEY, pem)
    text = str(caught.value)
    assert "\n" not in text
    body = "".join(pem.reveal().split("\n")[1:2]) or pem.reveal()
    assert not body or body[:20] not in text
    # What the library says stays behind the sentence.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_x1_a_signer_does_not_print_its_key() -> None:
    signer = HmacSigner(KEY, Secret("NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP"))
    assert "NhqPtmdS" not in repr(signer)
    assert "NhqPtmdS" not in repr(vars(signer))
