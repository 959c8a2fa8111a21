"""One connection of the WebSocket API without its socket: a frame in, a frame out, and who is logged on.

`seeds/004`, "WebSocket API General Info"; protocol.md 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET

from coldframe.errors import DecodeError
from coldframe.exchange.endpoints import account_endpoints, market_endpoints, order_endpoints
from coldframe.exchange.endpoints.authentic import Key, KeyKind, check_api_signature, check_timing
from coldframe.exchange.endpoints.connection_life import PingAllowance
from coldframe.exchange.endpoints.counters import Blocked
from coldframe.exchange.endpoints.requester import EndpointHandler, Requester
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.faults import ConnectionKind
from coldframe.exchange.refusals import refuse, status_of
from coldframe.wire.api import ApiId, ApiReply, ApiRequest, Method, Security, method_of, parse_request, readable_id
from coldframe.wire.codec import encode
from coldframe.wire.reference import RateLimit
from coldframe.wire.replies import ErrorBody, SessionStatus
from coldframe.wire.requests import Fault, read, text_of

_CALLS: Final[dict[str, EndpointHandler]] = {**market_endpoints.METHODS, **order_endpoints.METHODS, **account_endpoints.METHODS}
_NOT_JSON: Final = Fault(-1000, "Invalid JSON request.")


class ApiSession:
    """What a connection of the WebSocket API remembers: since when it stands, and whose key it is logged on with."""

    def __init__(self, exchange: Exchange, connected_ms: int, *, shows_limits: bool) -> None:
        self._exchange = exchange
        self._connected_ms = connected_ms
        self._shows_limits = shows_limits
        self._key: Key | None = None
        self._since_ms: int | None = None
        self._revoked = False
        self._pings = PingAllowance()

    @property
    def carries(self) -> ConnectionKind:
        return ConnectionKind.API

    @property
    def api_key(self) -> str | None:
        """The key that this connection is logged on with."""
        return self._key.api_key if self._key else None

    def spend_ping(self, at_ms: int) -> bool:
        """Takes a ping or pong of the client, which has a limit of its own beside the requests. False when it is one too many."""
        return self._pings.spend(at_ms)

    @staticmethod
    def wants_book(frame: bytes) -> str | None:
        """The symbol whose book has to be complete before this frame can be answered."""
        if b'"depth"' not in frame:
            return None
        try:
            request = parse_request(frame)
        except DecodeError:
            return None
        return text_of(request.params.get("symbol")) if request.method == "depth" else None

    def answer(self, frame: bytes, now_ms: int) -> bytes:
        """The answer to one frame."""
        try:
            request = parse_request(frame)
        except DecodeError:
            return _reply(readable_id(frame), _NOT_JSON)
        if self._key is not None and (self._revoked or not self._exchange.keys.valid(self._key)):
            self._key, self._since_ms, self._revoked = None, None, False
            return _reply(None, refuse(-2015))
        method = method_of(request.method)
        if method is None:
            return _reply(request.id, refuse(-1020))
        texts = {name: text_of(value) for name, value in request.params.items()}
        blocked = self._exchange.counters.charge(method.cost.pool, method.cost.weight(texts), now_ms)
        if blocked:
            return _reply(request.id, blocked, self._limits(method, "", texts, now_ms))
        key = self._authenticate(method, request, texts, now_ms)
        if isinstance(key, Fault):
            return _reply(request.id, key, self._limits(method, "", texts, now_ms))
        account = key.account if key else ""
        result = self._carry_out(method, key, request, now_ms)
        self._exchange.store.commit()
        return _reply(request.id, result, self._limits(method, account, texts, now_ms))

    def revoke(self) -> None:
        """Logs the connection off; it learns so with its next request."""
        self._revoked = self._key is not None

    # -- who asks -----------------------------------------------------------------------------------------------------

    def _authenticate(self, method: Method, request: ApiRequest, texts: Mapping[str, str], now_ms: int) -> Key | Fault | None:
        if method.security is Security.NONE:
            return None
        named = texts.get("apiKey", "")
        if not named and (self._key is None or method.name == "session.logon"):
            return refuse(-1102, "apiKey")
        key = self._exchange.keys.find(named) if named else self._key
        if isinstance(key, Fault) or key is None or method.security is Security.KEY:
            return key
        fault = check_timing(texts, now_ms)
        if fault:
            return fault
        logged_on = key is self._key and method.name != "session.logon"
        if logged_on and not texts.get("signature"):
            return key
        return check_api_signature(key, request.params) or key

    # -- what is asked ------------------------------------------------------------------------------------------------

    def _carry_out(self, method: Method, key: Key | None, request: ApiRequest, now_ms: int) -> object:
        if method.name.startswith("session."):
            return self._session(method.name, key, now_ms)
        account = key.account if key else ""
        cost = method.cost
        if cost.orders_10s:
            blocked = self._exchange.counters.charge_orders(account, cost.orders_10s, cost.orders_1m, now_ms)
            if blocked:
                return blocked
        given = read(method.request, request.params)
        if isinstance(given, Fault):
            return given
        return _CALLS[method.name](self._exchange, Requester(account), given, now_ms)

    def _session(self, name: str, key: Key | None, now_ms: int) -> object:
        if name == "session.logon" and key is not None:
            if key.kind is not KeyKind.ED25519:
                return refuse(-4056)
            self._key, self._since_ms = key, now_ms
        elif name == "session.logout":
            self._key, self._since_ms = None, None
        return SessionStatus(
            api_key=self.api_key,
            authorized_since=self._since_ms,
            connected_since=self._connected_ms,
            return_rate_limits=self._shows_limits,
            server_time=now_ms,
        )

    def _limits(self, method: Method, account: str, texts: Mapping[str, str], now_ms: int) -> tuple[RateLimit, ...]:
        """The limits in an answer: weight, and for orders their counts; nothing when they are not wanted."""
        wanted = texts.get("returnRateLimits", "").lower()
        if wanted == "false" or (not wanted and not self._shows_limits):
            return ()
        counters = self._exchange.counters
        rows = [counters.weight_row(now_ms)]
        if method.cost.orders_10s and account:
            rows += counters.order_rows(account, now_ms)
        return tuple(rows)


def say_instead(request_id: ApiId, status: int, fault: Fault) -> bytes:
    """An answer that is not the session's own."""
    return encode(ApiReply(id=request_id, status=status, error=ErrorBody(fault.code, fault.msg)))


def _reply(request_id: ApiId, result: object, limits: tuple[RateLimit, ...] = ()) -> bytes:
    shown: Any = limits or UNSET
    if isinstance(result, Blocked):
        error = ErrorBody(result.fault.code, result.fault.msg)
        return encode(ApiReply(id=request_id, status=result.status, error=error, rate_limits=shown))
    if isinstance(result, Fault):
        error = ErrorBody(result.code, result.msg)
        return encode(ApiReply(id=request_id, status=status_of(result), error=error, rate_limits=shown))
    return encode(ApiReply(id=request_id, status=200, result=msgspec.Raw(encode(result)), rate_limits=shown))
