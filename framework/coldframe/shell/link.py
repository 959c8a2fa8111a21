"""One WebSocket from its opening to its end: read, write, keep alive, and close in every case.

We open the TCP or TLS stream ourselves and close it ourselves: the WebSocket library leaves it open after some ends, and a bot that
reconnects would leak a descriptor each time (faults.md 4). The reader waits for nothing but the socket. One frame's write is
shielded with a deadline; when it is cut, half a frame may be on the wire, so the link is dead and what it carried of unknown fate.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import attrs
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError, WebSocketConnection, wrap_client_stream

from coldframe.errors import Banned, LinkDropped, LinkError, LinkRefused, LinkSilent
from coldframe.shell.batch import BatchStream
from coldframe.shell.reasons import first_error, reason_of
from coldframe.wire.rest import Answer, ban_end_ms

CONNECT_TIMEOUT_S: Final = 10.0
WRITE_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 2.0
#: We ping so often, and take a link for dead that does not answer within the second figure.
PING_PERIOD_S: Final = 20.0
PONG_TIMEOUT_S: Final = 10.0
MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
_QUEUE: Final = 256


@attrs.frozen
class Address:
    """Where a WebSocket is opened. `path` may hold a secret and is kept out of texts."""

    host: str
    port: int
    path: str = attrs.field(repr=False)
    tls: ssl.SSLContext | None = attrs.field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, tls: ssl.SSLContext) -> Address:
        """The address in a `ws://` or `wss://` URL. Raises `ValueError` for any other."""
        split = urlsplit(url)
        if split.scheme not in ("ws", "wss") or not split.hostname:
            raise ValueError(f"{split.scheme}://{split.netloc} is no WebSocket address")
        secure = split.scheme == "wss"
        path = (split.path or "/") + (f"?{split.query}" if split.query else "")
        return cls(split.hostname, split.port or (443 if secure else 80), path, tls if secure else None)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


async def open_stream(address: Address) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    """A TCP or TLS stream. Raises `LinkRefused` that names host and cause."""
    try:
        with trio.fail_after(CONNECT_TIMEOUT_S):
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
        raise LinkRefused(f"{address}: no connection within {CONNECT_TIMEOUT_S:.0f} s") from None
    except (OSError, trio.BrokenResourceError) as error:
        raise LinkRefused(f"{address}: {reason_of(error)}") from None


@asynccontextmanager
async def open_websocket(
    address: Address, now_ms: Callable[[], int], take: Callable[[list[bytes]], None]
) -> AsyncIterator[WebSocketConnection]:
    """An open WebSocket, whose stream is closed whatever happens (the orderly way is `close_when`).

    Messages are handed to `take`, all those of one socket read at once; `read` has to run as well, for the rare fragmented one.

    Raises `LinkRefused` when it cannot be opened and `Banned` when the venue answers 418 or 429.
    """
    stream = await open_stream(address)
    try:
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(CONNECT_TIMEOUT_S) as waiting:
                socket = await wrap_client_stream(
                    nursery,
                    BatchStream(stream, take, MAX_MESSAGE_BYTES),  # type: ignore[arg-type]  # it only reads, writes and closes
                    f"{address.host}:{address.port}",
                    address.path,
                    message_queue_size=_QUEUE,
                    max_message_size=MAX_MESSAGE_BYTES,
                    receive_buffer_size=64 * 1024,
                )
            if waiting.cancelled_caught or socket.closed:
                raise LinkRefused(f"{address}: no WebSocket handshake")
            yield socket
            nursery.cancel_scope.cancel()
    except* ConnectionRejected as refused:
        raise _refusal(address, first_error(refused), now_ms()) from None
    except* HandshakeError as failed:
        raise LinkRefused(f"{address}: WebSocket handshake failed: {first_error(failed)}") from None
    finally:
        await trio.aclose_forcefully(stream)


def _refusal(address: Address, error: BaseException, now_ms: int) -> LinkError | Banned:
    assert isinstance(error, ConnectionRejected)
    headers = {name.decode().lower(): value.decode() for name, value in error.headers or ()}
    body = bytes(error.body or b"")
    until_ms = ban_end_ms(Answer(error.status_code, headers, body), now_ms)
    said = "".join(ch if ch.isprintable() else " " for ch in body[:200].decode(errors="replace"))
    text = f"{address}: the venue answers the handshake with status {error.status_code} {said}".rstrip()
    return Banned(text, until_ms) if until_ms is not None else LinkRefused(text)


async def read(socket: WebSocketConnection, take: Callable[[list[bytes]], None]) -> None:
    """Hands over what came in fragments, until the link ends. Raises `LinkDropped` with the close code."""
    try:
        while True:
            message = await socket.get_message()
            take([message.encode() if isinstance(message, str) else message])
    except ConnectionClosed as closed:
        raise _dropped(closed) from None


async def write(socket: WebSocketConnection, frame: bytes) -> None:
    """Writes one text frame, whole or not at all as far as we can help it. Raises `LinkDropped` when it was cut."""
    with trio.CancelScope(shield=True, deadline=trio.current_time() + WRITE_TIMEOUT_S) as scope:
        try:
            await socket.send_message(frame.decode())
        except ConnectionClosed as closed:
            raise _dropped(closed) from None
    if scope.cancelled_caught:
        raise LinkDropped(f"a frame could not be written within {WRITE_TIMEOUT_S:.0f} s")


async def close_when(asked: trio.Event, socket: WebSocketConnection) -> None:
    """Closes the link in the orderly way when asked to; its reader then ends with `LinkDropped`."""
    await asked.wait()
    with trio.move_on_after(CLOSE_TIMEOUT_S):
        await socket.aclose()


async def keep_alive(socket: WebSocketConnection) -> None:
    """Pings now and then. Raises `LinkSilent` when no pong comes back in time."""
    while True:
        await trio.sleep(PING_PERIOD_S)
        with trio.move_on_after(PONG_TIMEOUT_S) as waiting:
            try:
                await socket.ping()
            except ConnectionClosed as closed:
                raise _dropped(closed) from None
        if waiting.cancelled_caught:
            raise LinkSilent(f"no answer to a ping within {PONG_TIMEOUT_S:.0f} s")


def _dropped(closed: ConnectionClosed) -> LinkDropped:
    if closed.reason is None:
        return LinkDropped("connection closed")
    reason = f" ({closed.reason.reason})" if closed.reason.reason else ""
    return LinkDropped(f"closed with {closed.reason.code} {closed.reason.name}{reason}", closed.reason.code)
