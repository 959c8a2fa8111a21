"""REST without sockets: one request in, one answer out. Limits first, then the key, then the parameters, then the call."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final
from urllib.parse import parse_qsl

import attrs

from coldframe.exchange.endpoints import (
    account_endpoints,
    history_endpoints,
    market_endpoints,
    order_endpoints,
    statistics_endpoints,
)
from coldframe.exchange.endpoints.authentic import Key, check_rest_signature, check_timing
from coldframe.exchange.endpoints.counters import Blocked
from coldframe.exchange.endpoints.requester import EndpointHandler, Requester
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.faults import FaultDecision
from coldframe.exchange.refusals import refuse, status_of
from coldframe.wire.api import Security
from coldframe.wire.codec import encode
from coldframe.wire.replies import ErrorBody
from coldframe.wire.requests import Fault, read
from coldframe.wire.rest import (
    API_KEY_HEADER,
    ENDPOINTS,
    ORDER_COUNT_1M_HEADER,
    ORDER_COUNT_10S_HEADER,
    USED_WEIGHT_HEADER,
    Endpoint,
)

_MODULES: Final = (market_endpoints, statistics_endpoints, order_endpoints, account_endpoints, history_endpoints)
_CALLS: Final[dict[str, EndpointHandler]] = {call: done for module in _MODULES for call, done in module.REST.items()}
_KEY_HEADER: Final = API_KEY_HEADER.lower()
#: Calls that need a complete book; a recorded market has to come so far first.
_BOOK_PATHS: Final = frozenset({"/fapi/v1/depth", "/fapi/v1/rpiDepth"})


@attrs.frozen
class RestRequest:
    """One request as it came in: query and body raw, since they are signed as sent. Header names are lower case."""

    verb: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes

    @property
    def call(self) -> str:
        """What is asked: verb and path."""
        return f"{self.verb} {self.path}"

    @cached_property
    def params(self) -> Mapping[str, str]:
        """All parameters; what stands in query and body counts as in the query (protocol.md 6.1)."""
        return _params(self.body) | _params(self.query)


@attrs.frozen
class RestAnswer:
    """One answer. Header names are lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def injected(answer: RestAnswer, decision: FaultDecision) -> RestAnswer:
    """What a client gets of an answer: the error that the decision puts in its place, in its form, or the truth."""
    if decision.instead is None:
        return answer
    fault = decision.instead
    body = fault.msg.encode() if decision.form == "text" else encode(ErrorBody(fault.code, fault.msg))
    headers = [header for header in answer.headers if header[0] != "content-type"]
    if decision.form != "bare":
        headers.append(("content-type", "text/plain" if decision.form == "text" else "application/json"))
    return RestAnswer(decision.status, tuple(headers), body)


def _params(text: bytes) -> dict[str, str]:
    return dict(parse_qsl(text.decode(errors="replace"), keep_blank_values=True))


class Rest:
    """The REST face of the exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def wants_book(self, request: RestRequest) -> str | None:
        """The symbol whose book has to be complete before this request can be answered."""
        return request.params.get("symbol") if request.path in _BOOK_PATHS else None

    def answer(self, request: RestRequest, now_ms: int) -> RestAnswer:
        """Answers one request."""
        counters = self._exchange.counters
        banned = counters.banned(now_ms)
        if banned:
            return self._blocked(banned, now_ms)
        # HEAD is a GET of which only the head is written.
        endpoint = ENDPOINTS.get(("GET" if request.verb == "HEAD" else request.verb, request.path))
        if endpoint is None:
            return self._refused(refuse(-5000, request.path, request.verb), now_ms)
        params = request.params
        blocked = counters.charge(endpoint.cost.pool, endpoint.cost.weight(params), now_ms)
        if blocked:
            return self._blocked(blocked, now_ms)
        key = self._authenticate(endpoint, request, params, now_ms)
        if isinstance(key, Fault):
            return self._refused(key, now_ms)
        return self._carry_out(endpoint, key, params, now_ms)

    def _authenticate(self, endpoint: Endpoint, request: RestRequest, params: Mapping[str, str], now_ms: int) -> Key | Fault | None:
        if endpoint.security is Security.NONE:
            return None
        key = self._exchange.keys.find(request.headers.get(_KEY_HEADER, ""))
        if isinstance(key, Fault) or endpoint.security is Security.KEY:
            return key
        fault = check_timing(params, now_ms) or check_rest_signature(key, request.query, request.body)
        return fault or key

    def _carry_out(self, endpoint: Endpoint, key: Key | None, params: Mapping[str, str], now_ms: int) -> RestAnswer:
        cost, account = endpoint.cost, key.account if key else ""
        if cost.orders_10s:
            blocked = self._exchange.counters.charge_orders(account, cost.orders_10s, cost.orders_1m, now_ms)
            if blocked:
                return self._blocked(blocked, now_ms)
        given = read(endpoint.request, params)
        if isinstance(given, Fault):
            return self._refused(given, now_ms)
        result = _CALLS[f"{endpoint.verb} {endpoint.path}"](self._exchange, Requester(account), given, now_ms)
        self._exchange.store.commit()
        if isinstance(result, Fault):
            return self._refused(result, now_ms, account if cost.orders_10s else "")
        return self._rest_answer(200, result, now_ms, account if cost.orders_10s else "")

    def _refused(self, fault: Fault, now_ms: int, account: str = "") -> RestAnswer:
        return self._rest_answer(status_of(fault), ErrorBody(fault.code, fault.msg), now_ms, account)

    def _blocked(self, blocked: Blocked, now_ms: int) -> RestAnswer:
        answer = self._rest_answer(blocked.status, ErrorBody(blocked.fault.code, blocked.fault.msg), now_ms)
        return attrs.evolve(answer, headers=(*answer.headers, ("retry-after", str(blocked.retry_after_s))))

    def _rest_answer(self, status: int, body: object, now_ms: int, account: str = "") -> RestAnswer:
        counters = self._exchange.counters
        headers = [("content-type", "application/json"), (USED_WEIGHT_HEADER, str(counters.used_weight(now_ms)))]
        if account:
            ten_s, minute = counters.order_counts(account, now_ms)
            headers += [(ORDER_COUNT_10S_HEADER, str(ten_s)), (ORDER_COUNT_1M_HEADER, str(minute))]
        return RestAnswer(status, tuple(headers), encode(body))
