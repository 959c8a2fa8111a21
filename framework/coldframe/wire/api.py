"""The WebSocket API: its methods as data, the envelope of requests and answers, the answers' rate limits.

Answers are matched by id alone and come in any order; an answer whose id is null speaks of the whole session (a revoked key).
Source: `seeds/004`, "WebSocket API General Info"; protocol.md 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import attrs
import msgspec
from msgspec import UNSET, UnsetType

from coldframe.errors import DecodeError
from coldframe.wire import requests as ask
from coldframe.wire.codec import Census, decode
from coldframe.wire.reference import RateLimit
from coldframe.wire.replies import ErrorBody
from coldframe.wire.streams import Message
from coldframe.wire.strict import check_depth, loosely, run
from coldframe.wire.weights import ORDER, Cost, by_depth, by_symbol, flat

#: What an id may be; the venue echoes it and never looks inside.
ApiId = int | str | None


class Security(Enum):
    """What a call needs to be allowed."""

    NONE = "none"
    KEY = "key"
    SIGNED = "signed"


@attrs.frozen
class Method:
    """One method: the class of its parameters, what it needs, what it costs."""

    name: str
    request: type[ask.Request]
    security: Security
    cost: Cost


_ACCOUNT: Final = ("account.position", "account.balance", "account.status")

METHODS: Final[dict[str, Method]] = {
    method.name: method
    for method in (
        Method("session.logon", ask.NoParameters, Security.SIGNED, Cost(flat(2))),
        Method("session.status", ask.NoParameters, Security.NONE, Cost(flat(2))),
        Method("session.logout", ask.NoParameters, Security.NONE, Cost(flat(2))),
        Method("depth", ask.DepthQuery, Security.NONE, Cost(by_depth)),
        Method("ticker.price", ask.MaybeSymbol, Security.NONE, Cost(by_symbol(1, 2))),
        Method("ticker.book", ask.MaybeSymbol, Security.NONE, Cost(by_symbol(2, 5))),
        Method("order.place", ask.PlaceOrder, Security.SIGNED, ORDER),
        Method("order.modify", ask.ModifyOrder, Security.SIGNED, ORDER),
        Method("order.cancel", ask.OrderRef, Security.SIGNED, Cost(flat(1))),
        Method("order.status", ask.OrderRef, Security.SIGNED, Cost(flat(1))),
        Method("algoOrder.place", ask.PlaceAlgo, Security.SIGNED, ORDER),
        Method("algoOrder.cancel", ask.AlgoRef, Security.SIGNED, Cost(flat(1))),
        *(Method(name, ask.NoParameters, Security.SIGNED, Cost(flat(5))) for name in _ACCOUNT),
        *(Method(f"v2/{name}", ask.NoParameters, Security.SIGNED, Cost(flat(5))) for name in _ACCOUNT),
        Method("userDataStream.start", ask.NoParameters, Security.KEY, Cost(flat(5))),
        Method("userDataStream.ping", ask.NoParameters, Security.KEY, Cost(flat(5))),
        Method("userDataStream.stop", ask.NoParameters, Security.KEY, Cost(flat(5))),
    )
}


class ApiRequest(msgspec.Struct, frozen=True):
    """One request as it came in: the id to echo, the method, the parameters as JSON values."""

    id: ApiId
    method: str
    params: dict[str, Any] = msgspec.field(default_factory=dict)


class ApiReply(Message, frozen=True, omit_defaults=True, kw_only=True):
    """One answer. Exactly one of `result` and `error` is there; `rateLimits` unless they were switched off."""

    id: ApiId
    status: int
    result: msgspec.Raw | UnsetType = UNSET
    error: ErrorBody | UnsetType = UNSET
    rate_limits: tuple[RateLimit, ...] | UnsetType = msgspec.field(name="rateLimits", default=UNSET)


class _OnlyId(msgspec.Struct, frozen=True):
    """Of a request only its id."""

    id: ApiId = None


_ONLY_ID: Final = msgspec.json.Decoder(_OnlyId)
_REQUEST: Final = msgspec.json.Decoder(ApiRequest)


def method_of(name: str) -> Method | None:
    """The method called `name`; an explicit version such as `v1/order.place` is understood."""
    found = METHODS.get(name)
    if found is None and name[:1] == "v" and "/" in name:
        version, _, bare = name.partition("/")
        return METHODS.get(bare) if version[1:].isdigit() else None
    return found


def request_frame(request_id: int | str, method: str, params: Mapping[str, str | int]) -> bytes:
    """A request, ready to be sent as a text frame."""
    return msgspec.json.encode({"id": request_id, "method": method, "params": dict(params)})


def parse_request(frame: bytes) -> ApiRequest:
    """A client's request. Raises `DecodeError`; the venue then answers code -1000 under `readable_id`."""
    request: ApiRequest = run(_REQUEST, frame)
    try:
        check_depth(request.params)
    except ValueError as error:
        raise DecodeError(str(error), frame) from None
    return request


def readable_id(frame: bytes) -> ApiId:
    """The id in a malformed request (no method, parameters that are not an object), so that its answer finds it; else None."""
    try:
        found: _OnlyId = run(_ONLY_ID, frame)
    except DecodeError:
        return None
    return found.id


def parse_reply(frame: bytes, census: Census | None = None) -> ApiReply:
    """The venue's answer to a request, its result unread but for its text. Raises `DecodeError` for anything else.

    A key that stands twice in the result is found when the class of the result reads it.
    """
    loosely(frame)  # no class reads the text of the result here
    reply = decode(ApiReply, frame, census or Census())
    if (reply.result is UNSET) == (reply.error is UNSET):
        raise DecodeError("an answer with neither or both of result and error", frame)
    return reply
