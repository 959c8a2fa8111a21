"""The front door: reads what a connection begins with, and hands it to REST, to a stream link or to the WebSocket API.

One port serves all three. REST connections are kept alive; an upgrade hands the connection over with all that was read of it. Each
connection has a fence: whatever it brings ends that connection and nothing else. Nothing is waited for without a limit.
"""

from __future__ import annotations

import ssl
import traceback
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar, assert_never

import attrs
import h11
import trio

from coldframe.exchange.context import Context
from coldframe.exchange.endpoints.connection_life import ConnectionLife, request_bytes
from coldframe.exchange.endpoints.rest import RestAnswer, RestRequest
from coldframe.exchange.endpoints.rest_patience import IDLE_MS, RestPatience
from coldframe.exchange.endpoints.stream_session import StreamSession
from coldframe.exchange.handshakes import answer_upgrade
from coldframe.exchange.request_handling import CutOff, NoAnswer, RestRequests, SendAnswer, Wait, WaitForBook
from coldframe.exchange_server.links.api import ApiLink
from coldframe.exchange_server.links.book_waits import BookWaits
from coldframe.exchange_server.links.cables import READ, CutAfterBytes, Limited, linger
from coldframe.exchange_server.links.socket import Accepted, NoHandshake, ServerSocket, answer_handshake, clock_ms
from coldframe.exchange_server.links.streams import StreamLink
from coldframe.exchange_server.links.visitors import why_not
from coldframe.exchange_server.links.websocket import SocketLink
from coldframe.wire.codec import encode
from coldframe.wire.replies import ErrorBody

#: A client with fewer frames to read than this keeps up.
READ_UP: Final = 64
_LONGEST_BODY: Final = 65_536
#: The code for a request that is forbidden (seeds/004 knows no text for it) or malformed.
_FORBIDDEN: Final = -1002
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError, h11.ProtocolError, ssl.SSLError)

L = TypeVar("L", StreamLink, ApiLink)


class HttpServer:
    """Serves connections. `secure` is whether they are TLS."""

    def __init__(self, context: Context, *, secure: bool = False) -> None:
        self._context = context
        self._secure = secure
        self._requests = RestRequests(context)
        self._books = BookWaits(context.source)
        self._open: Counter[str] = Counter()
        self._full = False
        self.stream_links: dict[StreamLink, None] = {}
        self.api_links: dict[ApiLink, None] = {}

    async def serve(self, stream: trio.abc.Stream, peer: str = "") -> None:
        """Serves one connection from its first byte to its end; `peer` is the address it comes from."""
        if not self._has_room(peer):
            await trio.aclose_forcefully(stream)
            return
        self._open[peer] += 1
        try:
            await self._serve(Limited(stream))
        except* _GONE:
            pass
        except* Exception as group:  # noqa: BLE001  (the fence: whatever a connection brings, the others go on)
            self._context.notice(f"a connection has ended by a bug of the venue: {_where(group)}")
        finally:
            self._open[peer] -= 1
            await trio.aclose_forcefully(stream)

    def _has_room(self, peer: str) -> bool:
        most = self._context.settings.max_connections
        if self._open[peer] < most:
            self._full = False
            return True
        if not self._full:
            self._full = True
            text = f"{peer} has {most} connections open, and gets no more until it closes some (venue.embedded.max_connections)"
            self._context.notice(text)
        return False

    async def wait_read(self) -> None:
        """Returns when the clients that are behind in reading their streams have caught up; never when none is behind."""
        behind = [link for link in self.stream_links if link.backlog >= READ_UP]
        for link in behind:
            await link.wait_below(READ_UP)
        if not behind:
            await trio.sleep_forever()

    async def _serve(self, stream: trio.abc.Stream) -> None:
        http = h11.Connection(h11.SERVER)
        try:
            await self._serve_requests(http, stream)
        except h11.RemoteProtocolError as error:
            if http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                await _send_last(http, stream, _misunderstood(error))
            raise

    async def _serve_requests(self, http: h11.Connection, stream: trio.abc.Stream) -> None:
        patience = RestPatience(clock_ms())
        while True:
            request = await _next_request(http, stream, patience)
            if request is None:
                return
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
            refusal = why_not(headers, secure=self._secure)
            if refusal is not None:
                await _send_last(http, stream, _forbidden(refusal), request)
                return
            body = await _body(http, stream, patience)
            if request.method == b"GET" and "websocket" in headers.get("upgrade", "").lower():
                await self._upgrade(http, stream, request, headers)
                return
            answer = await self._answer(request, headers, body)
            if answer is None:
                return
            await _send(http, stream, answer, request)
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()
            patience.begin_idling(clock_ms())

    async def _answer(self, request: h11.Request, headers: Mapping[str, str], body: bytes) -> RestAnswer | None:
        """The answer to a request; None when a fault wants the connection to end without one."""
        path, _, query = request.target.partition(b"?")
        rest = RestRequest(request.method.decode("latin-1"), path.decode("latin-1"), query, headers, body)
        for step in self._requests.handle(rest):
            match step:
                case Wait() | WaitForBook():
                    await self._books.pass_time(step)
                case SendAnswer(answer):
                    return answer
                case CutOff():
                    return None
                case NoAnswer():
                    await trio.sleep(IDLE_MS / 1000)
                    return None
                case unknown:
                    assert_never(unknown)
        raise AssertionError("a request has come to no end")

    # -- upgrades -----------------------------------------------------------------------------------------------------

    async def _upgrade(
        self, http: h11.Connection, stream: trio.abc.Stream, request: h11.Request, headers: Mapping[str, str]
    ) -> None:
        handshake = answer_handshake(request.http_version, headers)
        if isinstance(handshake, NoHandshake):
            await _send_last(http, stream, _no_handshake(handshake), request)
            return
        session = answer_upgrade(self._context, request.target.decode("latin-1"), trio.current_time())
        if isinstance(session, RestAnswer):
            await _send_last(http, stream, session, request)
            return
        await stream.send_all(_switching(http, handshake))
        limit = request_bytes(self._context.settings, session.carries)
        life = ConnectionLife(self._context.settings, clock_ms(), session.spend_ping)
        socket = ServerSocket(stream if limit is None else CutAfterBytes(stream, limit), life, http.trailing_data[0])
        link = SocketLink(socket, life, self._context.now_ms)
        if isinstance(session, StreamSession):
            await self._run(StreamLink(link, session, self._context), self.stream_links)
        else:
            await self._run(ApiLink(link, session, self._context, self._books), self.api_links)

    async def _run(self, link: L, links: dict[L, None]) -> None:
        """Serves a link, listed among the others as long as it lives."""
        links[link] = self._context.connections[link] = None
        try:
            await link.run()
        finally:
            del links[link], self._context.connections[link]


async def _next_request(http: h11.Connection, stream: trio.abc.Stream, patience: RestPatience) -> h11.Request | None:
    """The next request of a connection; None when there is none any more, or it does not come in time."""
    with trio.move_on_at(patience.ends_ms / 1000) as scope:
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                data = bytes(await stream.receive_some(READ))
                http.receive_data(data)
                patience.begin_head(clock_ms())
                scope.deadline = patience.ends_ms / 1000
            elif isinstance(event, h11.Request):
                return event
            else:
                return None
    return None


async def _body(http: h11.Connection, stream: trio.abc.Stream, patience: RestPatience) -> bytes:
    """The body of the request. Raises `RemoteProtocolError` for one that is too long, or takes too long."""
    parts = bytearray()
    patience.begin_body(clock_ms())
    with trio.move_on_at(patience.ends_ms / 1000):
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                if http.they_are_waiting_for_100_continue:
                    informed = http.send(h11.InformationalResponse(status_code=100, headers=[]))
                    await stream.send_all(informed or b"")
                http.receive_data(bytes(await stream.receive_some(READ)))
            elif isinstance(event, h11.Data):
                parts += event.data
                if len(parts) > _LONGEST_BODY:
                    raise h11.RemoteProtocolError("body too long", error_status_hint=413)
            else:
                return bytes(parts)
    raise h11.RemoteProtocolError("body too slow", error_status_hint=408)


def _switching(http: h11.Connection, handshake: Accepted) -> bytes:
    """The head that turns the connection into a WebSocket."""
    return http.send(h11.InformationalResponse(status_code=101, headers=list(handshake.headers))) or b""


async def _send(http: h11.Connection, stream: trio.abc.Stream, answer: RestAnswer, request: h11.Request | None = None) -> None:
    """Writes an answer; to HEAD without its body, of which only the length is told."""
    headers = [*answer.headers, ("content-length", str(len(answer.body)))]
    shown = b"" if request is not None and request.method == b"HEAD" else answer.body
    head = http.send(h11.Response(status_code=answer.status, headers=headers)) or b""
    body = http.send(h11.Data(data=shown)) or b""
    end = http.send(h11.EndOfMessage()) or b""
    await stream.send_all(head + body + end)


async def _send_last(http: h11.Connection, stream: trio.abc.Stream, answer: RestAnswer, request: h11.Request | None = None) -> None:
    """Writes an answer with which the connection ends, whatever of the request has not been read."""
    await _send(http, stream, attrs.evolve(answer, headers=(*answer.headers, ("connection", "close"))), request)
    await linger(stream)


def _no_handshake(answer: NoHandshake) -> RestAnswer:
    """The answer to a malformed handshake."""
    return RestAnswer(answer.status, (("content-type", "text/plain"), *answer.headers), f"{answer.text}\n".encode())


def _forbidden(reason: str) -> RestAnswer:
    """What a visitor gets that may not come in."""
    return RestAnswer(403, (("content-type", "application/json"),), encode(ErrorBody(_FORBIDDEN, reason)))


def _misunderstood(error: h11.RemoteProtocolError) -> RestAnswer:
    """The answer to a malformed request: the status alone, which suits HEAD too."""
    return RestAnswer(error.error_status_hint, (), b"")


def _where(group: BaseExceptionGroup[Exception]) -> str:
    """The first error of a group and the line that it came from, in one line; whatever the error is."""
    error: BaseException = group
    raised_at = group.__traceback__
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
        raised_at = error.__traceback__ or raised_at
    said = "".join(ch if ch.isprintable() else " " for ch in traceback.format_exception_only(error)[-1].strip()[:200])
    places = traceback.extract_tb(raised_at)
    return f"{said} ({Path(places[-1].filename).name}:{places[-1].lineno})" if places else said
