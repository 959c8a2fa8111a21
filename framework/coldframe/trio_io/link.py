"""One WebSocket from its opening to its end: read, write, keep alive, and close in every case.

We open the TCP or TLS stream ourselves and close it ourselves: the WebSocket library leaves it open after some ends, and a bot that
reconnects would leak a descriptor each time (faults.md 4). The reader waits for nothing but the socket. One frame's write is
shielded with a deadline; when it is cut, half a frame may be on the wire, so the link is dead and what it carried of unknown fate.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

import attrs
import h11
import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream
from wsproto.utilities import ProtocolError

from coldframe.errors import Banned, LinkDropped, LinkError, LinkRefused, LinkSilent
from coldframe.trio_io.batch import BatchStream
from coldframe.trio_io.error_text import one_line, reason_of
from coldframe.wire.rest import Answer, ban_end_ms

_QUEUE: Final = 256
#: What the library raises over a peer that does not speak its protocol, or at a write when it has ended.
_NONSENSE: Final = (HandshakeError, ConnectionClosed, ProtocolError, h11.ProtocolError)
#: From this length on a part of a path may be a listen key.
_SECRET_LENGTH: Final = 16


@attrs.frozen
class LinkLimits:
    """How long each part of a link's life may take, in seconds, and how much a peer may send."""

    connect_s: float = 10.0
    write_s: float = 5.0
    close_s: float = 2.0
    #: We ping so often, and take a link for dead that does not answer within the second figure.
    ping_period_s: float = 20.0
    pong_s: float = 10.0
    message_bytes: int = 8 * 1024 * 1024
    #: How many frames may wait to be written.
    outbox: int = 1_024


#: What holds where a caller names no others.
USUAL: Final = LinkLimits()


@attrs.frozen
class LinkAddress:
    """Where a WebSocket is opened. `path` may hold a secret and is kept out of texts."""

    host: str
    port: int
    path: str = attrs.field(repr=False)
    tls: ssl.SSLContext | None = attrs.field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, tls: ssl.SSLContext) -> LinkAddress:
        """The address in a `ws://` or `wss://` URL. Raises `ValueError` for any other, without its path."""
        split = urlsplit(url)
        if split.scheme not in ("ws", "wss") or not split.hostname:
            raise ValueError(f"{split.scheme}://{split.netloc} is not a WebSocket address")
        secure = split.scheme == "wss"
        path = (split.path or "/") + (f"?{split.query}" if split.query else "")
        if not path.isascii() or not path.isprintable() or " " in path:
            raise ValueError(f"{split.scheme}://{split.netloc}: a path with characters that no path may have")
        return cls(split.hostname, split.port or (443 if secure else 80), path, tls if secure else None)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


async def open_stream(address: LinkAddress, limits: LinkLimits = USUAL) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    """A TCP or TLS stream. Raises `LinkRefused` that names host and cause."""
    try:
        with trio.fail_after(limits.connect_s):
            stream = await trio.open_tcp_stream(address.host, address.port)
            if address.tls is None:
                return stream
            secure = trio.SSLStream(stream, address.tls, server_hostname=address.host, https_compatible=True)
            try:
                await secure.do_handshake()
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
            return secure
    except trio.TooSlowError:
        raise LinkRefused(f"{address}: no connection within {limits.connect_s:g} s") from None
    except (OSError, trio.BrokenResourceError) as error:
        raise LinkRefused(f"{address}: {reason_of(error)}") from None


@asynccontextmanager
async def open_websocket(
    address: LinkAddress, now_ms: Callable[[], int], take: Callable[[list[bytes]], None], limits: LinkLimits = USUAL
) -> AsyncIterator[WebSocketConnection]:
    """An open WebSocket, whose stream is closed whatever happens (the orderly way is `close_when`).

    Messages are handed to `take`, all those of one socket read at once, the first ones not before the first checkpoint inside;
    `read` has to run as well, for the unusual ones.

    Raises `LinkRefused` when it cannot be opened and `Banned` when the venue answers 418 or 429.
    """
    stream = await open_stream(address, limits)
    try:
        async with trio.open_nursery() as nursery:
            below = BatchStream(stream, take, limits.message_bytes)
            socket = await nursery.start(_speak, below, address, limits)
            if socket is not None:
                below.begin()
                yield socket
            nursery.cancel_scope.cancel()
        if socket is None:
            raise _refusal(address, below.answer, now_ms())
    finally:
        await trio.aclose_forcefully(stream)


async def _speak(
    below: BatchStream,
    address: LinkAddress,
    limits: LinkLimits,
    *,
    task_status: trio.TaskStatus[WebSocketConnection | None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """The library's task, from the handshake to the end of the stream. Reports None when there was no handshake.

    Over a peer that answers nonsense the library raises whatever comes to hand, and over one that goes away it waits for ever.
    """
    socket: WebSocketConnection | None = None
    try:
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(limits.connect_s) as waiting:
                nursery.start_soon(_cancel_at_end, below, waiting)
                socket = await wrap_client_stream(
                    nursery,
                    below,  # type: ignore[arg-type]  # it only reads, writes and closes
                    f"{address.host}:{address.port}",
                    address.path,
                    message_queue_size=_QUEUE,
                    max_message_size=limits.message_bytes,
                    receive_buffer_size=64 * 1024,
                )
            if socket is None:
                nursery.cancel_scope.cancel()
            else:
                task_status.started(socket)
    except* _NONSENSE:
        pass  # the reader of the socket learns that it has ended
    except* UnicodeError:
        if socket is not None:
            raise  # not about the headers of a handshake: a bug of what takes the messages
    if socket is None:
        task_status.started(None)


async def _cancel_at_end(below: BatchStream, waiting: trio.CancelScope) -> None:
    await below.ended.wait()
    waiting.cancel()


def _refusal(address: LinkAddress, raw: bytes, now_ms: int) -> LinkError | Banned:
    """What it means that the handshake was answered with `raw`, which may be nothing at all."""
    answer = _http_answer(raw)
    if answer is None:
        return LinkRefused(f"{address}: no WebSocket handshake")
    said = answer.body.decode(errors="replace")
    for part in re.split("[/?&=]", address.path):
        if len(part) >= _SECRET_LENGTH:
            said = said.replace(part, "...")
    text = f"{address}: the venue answers the handshake with status {answer.status} {one_line(said)}".rstrip()
    until_ms = ban_end_ms(answer, now_ms)
    return Banned(text, until_ms) if until_ms is not None else LinkRefused(text)


def _http_answer(raw: bytes) -> Answer | None:
    """The refusal in `raw`, even when it was cut off in its body; None when there is none."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="GET", target="/", headers=[("Host", "venue")]))
    parser.send(h11.EndOfMessage())
    status, headers, body = 0, {}, b""
    with suppress(h11.RemoteProtocolError):
        parser.receive_data(raw)
        parser.receive_data(b"")
        while not isinstance(event := parser.next_event(), h11.EndOfMessage | h11.ConnectionClosed):
            if isinstance(event, h11.Response | h11.InformationalResponse):
                status = event.status_code
                headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
    return Answer(status, headers, body) if status else None


async def read(socket: WebSocketConnection, take: Callable[[list[bytes]], None]) -> None:
    """Hands over what came in fragments, until the link ends. Raises `LinkDropped` with the close code."""
    try:
        while True:
            message = await socket.get_message()
            take([message.encode() if isinstance(message, str) else message])
    except ConnectionClosed as closed:
        raise _dropped(closed) from None


async def write(socket: WebSocketConnection, frame: bytes, limits: LinkLimits = USUAL) -> None:
    """Writes one text frame, whole or not at all as far as we can help it. Raises `LinkDropped` when it was cut."""
    with trio.CancelScope(shield=True, deadline=trio.current_time() + limits.write_s) as scope:
        try:
            await socket.send_message(frame.decode())
        except ConnectionClosed as closed:
            raise _dropped(closed) from None
    if scope.cancelled_caught:
        raise LinkDropped(f"a frame could not be written within {limits.write_s:g} s")


async def close_when(asked: trio.Event, socket: WebSocketConnection, limits: LinkLimits = USUAL) -> None:
    """Closes the link in the orderly way when asked to; its reader then ends with `LinkDropped`.

    The reader ends at once, but what was written last must reach the peer: so the end of the reader does not cut the wait short.
    """
    await asked.wait()
    with trio.CancelScope(shield=True, deadline=trio.current_time() + limits.close_s):
        await socket.aclose()


async def keep_alive(socket: WebSocketConnection, limits: LinkLimits = USUAL) -> None:
    """Pings now and then. Raises `LinkSilent` when no pong comes back in time."""
    while True:
        await trio.sleep(limits.ping_period_s)
        with trio.move_on_after(limits.pong_s) as waiting:
            try:
                await socket.ping()
            except ConnectionClosed as closed:
                raise _dropped(closed) from None
        if waiting.cancelled_caught:
            raise LinkSilent(f"no answer to a ping within {limits.pong_s:g} s")


def _dropped(closed: ConnectionClosed) -> LinkDropped:
    if closed.reason is None:
        return LinkDropped("connection closed")
    reason = f" ({closed.reason.reason})" if closed.reason.reason else ""
    return LinkDropped(f"closed with {closed.reason.code} {closed.reason.name}{reason}", closed.reason.code)
