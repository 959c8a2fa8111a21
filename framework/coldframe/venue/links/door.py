"""The front door: reads what a connection begins with, and hands it to REST, to a stream link or to the WebSocket API.

One port serves all three. REST connections are kept alive; an upgrade hands the connection over with all that was read of it.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

import attrs
import h11
import trio
from trio_websocket import HandshakeError, WebSocketConnection, wrap_server_stream

from coldframe.venue.calls.counters import Blocked
from coldframe.venue.calls.rest import Rest, RestAnswer, RestRequest, injected
from coldframe.venue.faults import Ending
from coldframe.venue.links.api import ApiLink
from coldframe.venue.links.context import Context
from coldframe.venue.links.streams import StreamLink
from coldframe.wire.codec import encode
from coldframe.wire.replies import ErrorBody
from coldframe.wire.routes import StreamTarget, parse_target
from coldframe.wire.weights import HANDSHAKE_WEIGHT, Pool

_API_PATH: Final = "/ws-fapi/v1"
_READ: Final = 65_536
_LONGEST_BODY: Final = 1_000_000
#: A connection that says nothing for so long is closed, in seconds.
_IDLE_S: Final = 300
_HANDSHAKE_S: Final = 10
#: Frames that a peer may be ahead of our reading; it is read at once, so a few suffice.
_UNREAD_FRAMES: Final = 16
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError, h11.ProtocolError, ssl.SSLError)


class Replayed(trio.abc.Stream):
    """A stream that first gives again what was read from it already."""

    def __init__(self, stream: trio.abc.Stream, first: bytes) -> None:
        self._stream = stream
        self._first = first

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._first:
            await trio.lowlevel.checkpoint()
            part = self._first if max_bytes is None else self._first[:max_bytes]
            self._first = self._first[len(part) :]
            return part
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()


class Severed(trio.abc.Stream):
    """A stream that breaks when so many bytes have been read from it."""

    def __init__(self, stream: trio.abc.Stream, after_bytes: int) -> None:
        self._stream = stream
        self._left = after_bytes

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._check()
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        self._check()
        part = await self._stream.receive_some(min(max_bytes or _READ, self._left))
        self._left -= len(part)
        return part

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _check(self) -> None:
        if self._left <= 0:
            raise trio.BrokenResourceError("as many bytes as were wanted have been read")


class Door:
    """Serves connections."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rest = Rest(context.exchange)
        self.stream_links: dict[StreamLink, None] = {}
        self.api_links: dict[ApiLink, None] = {}

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Serves one connection from its first byte to its end."""
        try:
            await self._serve(stream)
        except* _GONE:
            pass
        finally:
            await trio.aclose_forcefully(stream)

    async def _serve(self, stream: trio.abc.Stream) -> None:
        http = h11.Connection(h11.SERVER)
        try:
            await self._serve_requests(http, stream)
        except h11.RemoteProtocolError as error:
            if http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                await _send(http, stream, _misunderstood(error))
            raise

    async def _serve_requests(self, http: h11.Connection, stream: trio.abc.Stream) -> None:
        while True:
            with trio.move_on_after(_IDLE_S) as idle:
                request = await _next_request(http, stream)
            if idle.cancelled_caught or request is None:
                return
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
            if request.method == b"GET" and "websocket" in headers.get("upgrade", "").lower():
                await self._upgrade(http, stream, request)
                return
            body = await _body(http, stream)
            answer = await self._answer(request, headers, body)
            if answer is None:
                return
            await _send(http, stream, answer, request)
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _answer(self, request: h11.Request, headers: Mapping[str, str], body: bytes) -> RestAnswer | None:
        """The answer to a request; None when a fault wants the connection to end without one."""
        path, _, query = request.target.partition(b"?")
        rest = RestRequest(request.method.decode("latin-1"), path.decode("latin-1"), query, headers, body)
        course = self._context.course(rest.call, rest.params)
        await trio.sleep(course.wait_ms / 1000)
        symbol = self._rest.wants_book(rest)
        if symbol:
            await self._context.wait_book(symbol)
        answer = self._carry_out(rest) if course.carried_out else RestAnswer(200, (), b"")
        answer = injected(answer, course)
        await trio.sleep(course.hold_ms / 1000)
        if course.ending is Ending.SILENT:
            await trio.sleep(_IDLE_S)
        return answer if course.ending is Ending.ANSWERED else None

    def _carry_out(self, rest: RestRequest) -> RestAnswer:
        now_ms = self._context.turn()
        answer = self._rest.answer(rest, now_ms)
        self._context.deliver()
        return attrs.evolve(answer, body=self._context.faults.listed(rest.call, answer.body, now_ms))

    # -- upgrades -----------------------------------------------------------------------------------------------------

    async def _upgrade(self, http: h11.Connection, stream: trio.abc.Stream, request: h11.Request) -> None:
        target = request.target.decode("latin-1")
        try:
            is_api = urlsplit(target).path.rstrip("/") == _API_PATH
            streams = None if is_api else parse_target(target)
        except ValueError:  # a path that looks like a broken address
            is_api, streams = False, None
        blocked = self._admit(is_api=is_api)
        if blocked is not None or (not is_api and streams is None):
            await _send(http, stream, _turned_away(blocked), request)
            return
        first = _written(request) + http.trailing_data[0]
        after_bytes = self._context.faults.settings.api_cut_after_bytes
        if is_api and after_bytes:
            stream = Severed(stream, after_bytes)
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(_HANDSHAKE_S) as patience:
                socket = await self._handshake(nursery, Replayed(stream, first))
            if not patience.cancelled_caught and socket is not None:
                await self._serve_socket(socket, target, streams)
            nursery.cancel_scope.cancel()

    def _admit(self, *, is_api: bool) -> Blocked | None:
        """Whether a handshake is answered: not during a ban; one of the WebSocket API costs weight."""
        now_ms = self._context.now_ms()
        counters = self._context.exchange.counters
        return counters.charge(Pool.WEIGHT, HANDSHAKE_WEIGHT, now_ms) if is_api else counters.banned(now_ms)

    async def _handshake(self, nursery: trio.Nursery, stream: trio.abc.Stream) -> WebSocketConnection | None:
        try:
            request = await wrap_server_stream(nursery, stream, message_queue_size=_UNREAD_FRAMES)
            return await request.accept()
        except HandshakeError:
            return None

    async def _serve_socket(self, socket: WebSocketConnection, target: str, streams: StreamTarget | None) -> None:
        if streams is not None:
            link = StreamLink(socket, streams, self._context)
            await _run(link, self.stream_links)
            return
        options = dict(parse_qsl(urlsplit(target).query))
        shows_limits = options.get("returnRateLimits", "true").lower() != "false"
        await _run(ApiLink(socket, self._context, shows_limits=shows_limits), self.api_links)


L = TypeVar("L", StreamLink, ApiLink)


async def _run(link: L, links: dict[L, None]) -> None:
    """Serves a link, listed among the others as long as it lives."""
    links[link] = None
    try:
        await link.run()
    finally:
        del links[link]


async def _next_request(http: h11.Connection, stream: trio.abc.Stream) -> h11.Request | None:
    """The next request of a connection; None when there is none any more."""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(bytes(await stream.receive_some(_READ)))
        elif isinstance(event, h11.Request):
            return event
        else:
            return None


async def _body(http: h11.Connection, stream: trio.abc.Stream) -> bytes:
    """The body of the request; a body that is too long ends the connection."""
    parts = bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            if http.they_are_waiting_for_100_continue:
                informed = http.send(h11.InformationalResponse(status_code=100, headers=[]))
                await stream.send_all(informed or b"")
            http.receive_data(bytes(await stream.receive_some(_READ)))
        elif isinstance(event, h11.Data):
            parts += event.data
            if len(parts) > _LONGEST_BODY:
                raise h11.RemoteProtocolError("body too long", error_status_hint=413)
        else:
            return bytes(parts)


async def _send(http: h11.Connection, stream: trio.abc.Stream, answer: RestAnswer, request: h11.Request | None = None) -> None:
    """Writes an answer; to HEAD without its body, of which only the length is told."""
    headers = [*answer.headers, ("content-length", str(len(answer.body)))]
    shown = b"" if request is not None and request.method == b"HEAD" else answer.body
    head = http.send(h11.Response(status_code=answer.status, headers=headers)) or b""
    body = http.send(h11.Data(data=shown)) or b""
    end = http.send(h11.EndOfMessage()) or b""
    await stream.send_all(head + body + end)


def _turned_away(blocked: Blocked | None) -> RestAnswer:
    """What a handshake gets that is not wanted, or not understood."""
    if blocked is None:
        return RestAnswer(404, (("content-type", "text/plain"),), b"no such stream path\n")
    headers = (("content-type", "application/json"), ("retry-after", str(blocked.retry_after_s)))
    return RestAnswer(blocked.status, headers, encode(ErrorBody(blocked.fault.code, blocked.fault.msg)))


def _misunderstood(error: h11.RemoteProtocolError) -> RestAnswer:
    """What a request gets that is none: the status alone, which suits HEAD too. The connection ends with it."""
    return RestAnswer(error.error_status_hint, (("connection", "close"),), b"")


def _written(request: h11.Request) -> bytes:
    """The head of a request as it stood on the cable, for whoever has to read it once more."""
    lines = [b"%s %s HTTP/%s" % (request.method, request.target, request.http_version)]
    lines += [b"%s: %s" % (name, value) for name, value in request.headers.raw_items()]
    return b"\r\n".join(lines) + b"\r\n\r\n"
