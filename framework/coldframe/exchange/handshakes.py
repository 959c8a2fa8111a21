"""What a request for a WebSocket gets: a connection of the WebSocket API, a stream connection, or the answer that refuses it.

The address decides which: the WebSocket API has one path, streams have a route each (protocol.md 4, 7). A handshake of the
WebSocket API costs weight; a ban refuses every handshake.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit

from coldframe.exchange.context import Context
from coldframe.exchange.endpoints.counters import Blocked
from coldframe.exchange.endpoints.rest import RestAnswer
from coldframe.exchange.endpoints.session import ApiSession
from coldframe.exchange.endpoints.stream_session import StreamSession
from coldframe.wire.codec import encode
from coldframe.wire.replies import ErrorBody
from coldframe.wire.routes import Route, StreamTarget, parse_target
from coldframe.wire.weights import HANDSHAKE_WEIGHT, Pool

API_PATH: Final = "/ws-fapi/v1"
#: "Important WebSocket Change Notice" of 2026-03-06 (protocol.md 2).
_ENDED: Final = (
    "a client opened {}: the exchange ended stream paths without a route on 2026-04-23; use /public, /market and /private there"
    ' (venue.embedded.unrouted = "public" answers here as it did before that day)'
)
_NO_SUCH_PATH: Final = RestAnswer(404, (("content-type", "text/plain"),), b"no such stream path\n")


def answer_upgrade(context: Context, target: str, at_s: float) -> ApiSession | StreamSession | RestAnswer:
    """Answers a handshake for an address (path and query). `at_s` counts seconds of a clock that never goes back."""
    is_api, streams = _parsed(target)
    blocked = _blocked(context, is_api=is_api)
    if blocked is not None:
        return _turned_away(blocked)
    if is_api:
        return ApiSession(context.exchange, context.now_ms(), shows_limits=_shows_limits(target))
    if streams is None:
        return _NO_SUCH_PATH
    all_unrouted = context.settings.unrouted == "all"
    if streams.route is Route.UNROUTED and all_unrouted:
        context.notice(_ENDED.format("/stream" if streams.combined else "/ws"))
    return StreamSession(streams, at_s, all_unrouted=all_unrouted)


def _parsed(target: str) -> tuple[bool, StreamTarget | None]:
    """Whether the WebSocket API is meant, and else which streams are; None for an address that means neither."""
    try:
        is_api = urlsplit(target).path.rstrip("/") == API_PATH
        return is_api, None if is_api else parse_target(target)
    except ValueError:  # a path that looks like a broken address
        return False, None


def _blocked(context: Context, *, is_api: bool) -> Blocked | None:
    """Why a handshake is refused: there is a ban, or the WebSocket API's weight is used up."""
    now_ms, counters = context.now_ms(), context.exchange.counters
    return counters.charge(Pool.WEIGHT, HANDSHAKE_WEIGHT, now_ms) if is_api else counters.banned(now_ms)


def _shows_limits(target: str) -> bool:
    """Whether answers carry the limits: they do unless the address says otherwise (`seeds/004`, "WebSocket API General Info")."""
    return dict(parse_qsl(urlsplit(target).query)).get("returnRateLimits", "true").lower() != "false"


def _turned_away(blocked: Blocked) -> RestAnswer:
    headers = (("content-type", "application/json"), ("retry-after", str(blocked.retry_after_s)))
    return RestAnswer(blocked.status, headers, encode(ErrorBody(blocked.fault.code, blocked.fault.msg)))
