"""Who calls, and may they: API keys, signatures over what was sent, the time of a request.

REST signs the raw query and the raw body, one behind the other; the WebSocket API signs its parameters by name, and since the
exchange's own library percent-encodes them first, both forms are accepted (protocol.md 6.1, 7).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final
from urllib.parse import quote, unquote_plus, urlencode

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from coldframe.exchange.keys import AccountKeys
from coldframe.exchange.refusals import refuse
from coldframe.wire.requests import Fault, text_of

#: How far ahead of the venue a timestamp may be, and the usual and the longest receive window.
_AHEAD_MS: Final = 1000
_USUAL_WINDOW_MS: Final = 5000
_LONGEST_WINDOW_MS: Final = 60_000
_API_KEY: Final = re.compile(r"[A-Za-z0-9]{16,128}")
_SIGNATURE: Final = re.compile(rb"(?:^|&)signature=([^&]*)")


class KeyKind(Enum):
    HMAC = "hmac"
    ED25519 = "ed25519"


@attrs.frozen
class Key:
    """One API key of an account, with what verifies its signatures."""

    api_key: str
    account: str
    kind: KeyKind
    _secret: bytes = attrs.field(repr=False, default=b"")
    _public: Ed25519PublicKey | None = attrs.field(repr=False, default=None)

    def signed(self, payload: bytes, signature: str) -> bool:
        """Whether `signature` is this key's over `payload`."""
        if self._public is None:
            mine = hmac.new(self._secret, payload, hashlib.sha256).hexdigest()
            return hmac.compare_digest(mine.encode(), signature.lower().encode())
        try:
            self._public.verify(base64.b64decode(signature, validate=True), payload)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


class KeyRing:
    """All keys that the venue knows. A revoked one is unknown from then on."""

    def __init__(self, accounts: Iterable[AccountKeys]) -> None:
        self._keys: dict[str, Key] = {}
        for account in accounts:
            self._add(Key(account.hmac_api_key, account.account, KeyKind.HMAC, account.hmac_secret.encode()))
            self._add(Key(account.ed25519_api_key, account.account, KeyKind.ED25519, public=account.public_key))

    def _add(self, key: Key) -> None:
        self._keys[key.api_key] = key

    def find(self, api_key: str) -> Key | Fault:
        """The key that a requester names: -2014 for a malformed text, -2015 for a key that no account has."""
        if _API_KEY.fullmatch(api_key) is None:
            return refuse(-2014)
        return self._keys.get(api_key) or refuse(-2015)

    def revoke(self, api_key: str) -> None:
        """Forgets a key."""
        self._keys.pop(api_key, None)

    def valid(self, key: Key) -> bool:
        """Whether a key that was found earlier still stands."""
        return self._keys.get(key.api_key) is key


def check_timing(params: Mapping[str, str], now_ms: int) -> Fault | None:
    """The timing rule of protocol.md 6.1: not more than a second ahead, not older than the receive window."""
    stamp, window = params.get("timestamp", ""), params.get("recvWindow", "")
    if not _plain_number(stamp):
        return refuse(-1102, "timestamp")
    if window and not (_plain_number(window) and int(window) <= _LONGEST_WINDOW_MS):
        return refuse(-1130, "recvWindow")
    if int(stamp) >= now_ms + _AHEAD_MS:
        return refuse(-1021, variant=1)
    return refuse(-1021) if now_ms - int(stamp) > int(window or _USUAL_WINDOW_MS) else None


def _plain_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


def check_rest_signature(key: Key, query: bytes, body: bytes) -> Fault | None:
    """Whether the raw query and body carry a signature over all of them but itself, wherever it stands."""
    found = _SIGNATURE.search(query) or _SIGNATURE.search(body)
    if found is None or not found[1]:
        return refuse(-1102, "signature")
    payload = _without_signature(query) + _without_signature(body)
    # base64 has signs that mean something else in a query; some callers encode them, some do not.
    written = found[1].decode("ascii", errors="replace")
    signatures = {unquote_plus(written), unquote_plus(written.replace("+", "%2B"))}
    return None if any(key.signed(payload, signature) for signature in signatures) else refuse(-1022)


def _without_signature(part: bytes) -> bytes:
    cut = _SIGNATURE.sub(b"", part, count=1)
    return cut.removeprefix(b"&") if part.startswith(b"signature=") else cut


def check_api_signature(key: Key, params: Mapping[str, object]) -> Fault | None:
    """Whether the parameters of a WebSocket API request carry a signature over the others, sorted by name."""
    signature = text_of(params.get("signature"))
    if not signature:
        return refuse(-1102, "signature")
    pairs = sorted((name, text_of(value)) for name, value in params.items() if name != "signature")
    plain = "&".join(f"{name}={value}" for name, value in pairs)
    payloads = (plain, urlencode(pairs), urlencode(pairs, quote_via=quote))
    return None if any(key.signed(payload.encode(), signature) for payload in payloads) else refuse(-1022)
