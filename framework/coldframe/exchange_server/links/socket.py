"""A WebSocket on the venue's side: the handshake that opens it, whole messages in, text frames out, and a close that says why.

An offence against the protocol, text that is not UTF-8 and a message that is too long end the connection with the close code that
RFC 6455 gives for them (1002, 1007, 1009), which the peer gets to read before the connection goes.
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import attrs
import trio
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage
from wsproto.utilities import ProtocolError, generate_accept_token

from coldframe.exchange.endpoints.connection_life import CloseFrame, ConnectionLife, too_long
from coldframe.exchange_server.links.cables import linger

_VERSION: Final = "13"
_KEY_BYTES: Final = 16
#: So much is read at once: what comes in small frames must not hold up the others for long.
_READ: Final = 8_192


class Closed(Exception):
    """The connection has ended: nothing more comes, and nothing can be sent."""


class CloseReason(Exception):
    """The peer has offended: the link ends with this close frame."""

    def __init__(self, frame: CloseFrame) -> None:
        super().__init__(frame.reason)
        self.frame = frame


@attrs.frozen
class Accepted:
    """A handshake as it should be: what the answer to it carries."""

    headers: tuple[tuple[str, str], ...]


@attrs.frozen
class NoHandshake:
    """What is wrong with a handshake: the status of the answer, a sentence, and further headers."""

    status: int
    text: str
    headers: tuple[tuple[str, str], ...] = ()


def answer_handshake(http_version: bytes, headers: Mapping[str, str]) -> Accepted | NoHandshake:
    """The answer to a request for a WebSocket (RFC 6455, 4.2). Names of headers are lower case."""
    asked = {token.strip().lower() for token in headers.get("connection", "").split(",")}
    if http_version != b"1.1" or "upgrade" not in asked:
        return NoHandshake(400, "a WebSocket begins with HTTP/1.1 and Connection: Upgrade")
    if headers.get("sec-websocket-version", "").strip() != _VERSION:
        return NoHandshake(426, f"Sec-WebSocket-Version is {_VERSION} here", (("sec-websocket-version", _VERSION),))
    key = headers.get("sec-websocket-key", "").strip()
    try:
        length = len(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):  # no base64, or not even ASCII
        length = 0
    if length != _KEY_BYTES:
        return NoHandshake(400, f"Sec-WebSocket-Key is not {_KEY_BYTES} bytes in base64")
    token = generate_accept_token(key.encode()).decode()
    return Accepted((("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", token)))


def clock_ms() -> int:
    """Milliseconds of the clock that connections are told: it never goes back."""
    return int(trio.current_time() * 1000)


def _refuse_offence(frame: CloseFrame | None) -> None:
    """Raises `CloseReason` for an offence."""
    if frame is not None:
        raise CloseReason(frame)


class ServerSocket:
    """A WebSocket whose handshake is done. One task reads; any may write, one frame at a time.

    `life` is told pings and pongs, and a ping that it allows is answered. `first` is what the peer had already sent behind its
    handshake. Everything raises `Closed` once the connection has ended.
    """

    def __init__(self, stream: trio.abc.Stream, life: ConnectionLife, first: bytes = b"") -> None:
        self._stream, self._life = stream, life
        self._protocol = Connection(ConnectionType.SERVER)
        self._events: deque[Event] = deque()
        self._writing = trio.Lock()
        self._parts: list[Any] = []
        self._size = 0
        if first:
            self._take_data(first)

    async def get_message(self) -> str | bytes:
        """The next message. Raises `Closed`, or `CloseReason` with the close code that an offence of the peer calls for."""
        while True:
            while self._events:
                event = self._events.popleft()
                match event:
                    case TextMessage() | BytesMessage():
                        message = self._gathered(event)
                        if message is not None:
                            return message
                    case Ping():
                        _refuse_offence(self._life.take_ping(clock_ms()))
                        await self._send(event.response())
                    case Pong():
                        _refuse_offence(self._life.take_pong(bytes(event.payload), clock_ms()))
                    case CloseConnection():
                        await self._told_to_close(event)
                    case _:
                        pass  # the other events belong to the handshake
            await self._receive()

    async def send_message(self, text: str) -> None:
        """Writes one text frame."""
        await self._send(Message(data=text))

    async def send_ping(self, payload: bytes) -> None:
        """Writes a ping."""
        await self._send(Ping(payload=payload))

    async def aclose(self, frame: CloseFrame) -> None:
        """Says why the connection ends, and waits for the peer to take note; nothing may read at the same time."""
        with suppress(Closed, CloseReason):
            await self._send(CloseConnection(code=frame.code, reason=frame.reason))
            while True:
                await self.get_message()
        if self._protocol.state is not ConnectionState.CLOSED:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await linger(self._stream)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _gathered(self, event: TextMessage | BytesMessage) -> str | bytes | None:
        """The whole message, when this was its last part."""
        if event.data:  # a peer may send empty parts for ever
            self._parts.append(event.data)
            self._size += len(event.data.encode() if isinstance(event, TextMessage) else event.data)
        offence = too_long(self._size)
        if offence is not None:
            self._parts, self._size = [], 0
        _refuse_offence(offence)
        if not event.message_finished:
            return None
        parts, self._parts, self._size = self._parts, [], 0
        return "".join(parts) if isinstance(event, TextMessage) else b"".join(parts)

    async def _told_to_close(self, event: CloseConnection) -> None:
        """The peer wants to end the connection, or has answered that we do; or has offended against the protocol."""
        if self._protocol.state is ConnectionState.OPEN:
            raise CloseReason(CloseFrame(event.code, event.reason or ""))
        if self._protocol.state is ConnectionState.REMOTE_CLOSING:
            await self._send(event.response())
        raise Closed

    async def _receive(self) -> None:
        try:
            data = await self._stream.receive_some(_READ)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise Closed from None
        if not data:
            raise Closed
        self._take_data(bytes(data))

    def _take_data(self, data: bytes) -> None:
        try:
            self._protocol.receive_data(data)
        except ProtocolError:
            raise Closed from None  # behind the end
        self._events.extend(self._protocol.events())

    async def _send(self, event: Event) -> None:
        try:
            data = self._protocol.send(event)
        except ProtocolError:
            raise Closed from None
        async with self._writing:
            try:
                await self._stream.wait_send_all_might_not_block()
                with trio.CancelScope(shield=True):  # half a frame would be the end: not even a close could follow
                    await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise Closed from None
