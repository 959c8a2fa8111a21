"""Who we are to the venue: keys, and signatures over exactly what is sent.

REST signs the percent-encoded query and body as they are sent, in the order sent. The WebSocket API signs the parameters sorted by
name, joined by `&`, not encoded, as UTF-8. HMAC signatures are hexadecimal, RSA and Ed25519 ones base64.
Source: protocol.md 6.1 and 7; `seeds/004`, "SIGNED request example (Ed25519)".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote, urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from coldframe.secret import Secret
from coldframe.wire.requests import text_of

Params = Mapping[str, str | int]


class Signer(Protocol):
    """An API key and the means to sign with it."""

    @property
    def api_key(self) -> Secret: ...

    @property
    def can_log_on(self) -> bool:
        """Whether `session.logon` accepts this kind of key: Ed25519 only."""

    def sign(self, payload: bytes) -> str:
        """The signature of `payload`, as the venue wants to read it (before any percent-encoding)."""


class HmacSigner:
    """HMAC-SHA256 with a shared secret: signs single requests, cannot log on."""

    can_log_on = False

    def __init__(self, api_key: Secret, secret: Secret) -> None:
        self.api_key = api_key
        self._secret = secret

    def sign(self, payload: bytes) -> str:
        return hmac.new(self._secret.reveal().encode(), payload, hashlib.sha256).hexdigest()


class Ed25519Signer:
    """Ed25519: the kind of key that can log on."""

    can_log_on = True

    def __init__(self, api_key: Secret, key: Ed25519PrivateKey) -> None:
        self.api_key = api_key
        self._key = key

    def sign(self, payload: bytes) -> str:
        return base64.b64encode(self._key.sign(payload)).decode()


class RsaSigner:
    """RSA, PKCS#1 v1.5 with SHA-256: signs single requests, cannot log on."""

    can_log_on = False

    def __init__(self, api_key: Secret, key: RSAPrivateKey) -> None:
        self.api_key = api_key
        self._key = key

    def sign(self, payload: bytes) -> str:
        return base64.b64encode(self._key.sign(payload, PKCS1v15(), hashes.SHA256())).decode()


def signer_of_pem(api_key: Secret, pem: Secret) -> Signer:
    """The signer for a private key in PEM form, unencrypted PKCS#8. Raises `ValueError` for anything else, in one sentence."""
    try:
        key = load_pem_private_key(pem.reveal().encode(), password=None)
    except TypeError:
        raise ValueError("the private key is encrypted; store it without a passphrase in a file only you can read") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not a private key in PEM form (PKCS#8, beginning with -----BEGIN PRIVATE KEY-----)") from None
    match key:
        case Ed25519PrivateKey():
            return Ed25519Signer(api_key, key)
        case RSAPrivateKey():
            return RsaSigner(api_key, key)
        case _:  # the library reads more kinds
            raise ValueError(f"a private key of kind {type(key).__name__}; the venue knows Ed25519 and RSA")


def api_payload(params: Mapping[str, object]) -> bytes:
    """What is signed on the WebSocket API: all parameters but the signature, by name."""
    pairs = sorted((name, text_of(value)) for name, value in params.items() if name != "signature")
    return "&".join(f"{name}={value}" for name, value in pairs).encode()


def sign_api(params: Params, signer: Signer, timestamp_ms: int, recv_window_ms: int) -> dict[str, str | int]:
    """`params` with key, time and signature, for one request on the WebSocket API."""
    full = stamp(params, timestamp_ms, recv_window_ms) | {"apiKey": signer.api_key.reveal()}
    return full | {"signature": signer.sign(api_payload(full))}


def stamp(params: Params, timestamp_ms: int, recv_window_ms: int) -> dict[str, str | int]:
    """`params` with time and receive window: enough for a request on a connection that is logged on."""
    return {**params, "timestamp": timestamp_ms, "recvWindow": recv_window_ms}


def query(params: Params) -> str:
    """Parameters as a query string: percent-encoded as UTF-8."""
    return urlencode([(name, text_of(value)) for name, value in params.items()], quote_via=quote, safe="")


def sign_query(params: Params, signer: Signer, timestamp_ms: int, recv_window_ms: int) -> str:
    """The query string of a signed REST call: time added, signature last."""
    payload = query(stamp(params, timestamp_ms, recv_window_ms))
    return f"{payload}&signature={quote(signer.sign(payload.encode()), safe='')}"
