"""The other end of a link, scripted: it speaks raw bytes, so that it can do everything that a good server never would."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from socket import SO_LINGER, SOL_SOCKET
from typing import Final

import trio

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

#: No test waits longer for anything.
PATIENCE_S: Final = 60.0

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Script = Callable[["Line"], Awaitable[None]]


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = False, wide: int | None = None
) -> bytes:
    """One frame. `wide` is how many bytes the length takes (0, 2 or 8), for lengths that are written longer than they need be."""
    size = len(payload)
    if wide is None:
        wide = 0 if size <= 125 else 2 if size <= 0xFFFF else 8
    short = size if wide == 0 else 126 if wide == 2 else 127
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode, (0x80 if masked else 0) | short])
    head += b"" if wide == 0 else size.to_bytes(wide, "big")
    return head + (b"\0\0\0\0" if masked else b"") + payload


def text(payload: str | bytes) -> bytes:
    """A whole text frame."""
    return frame(TEXT, payload.encode() if isinstance(payload, str) else payload)


def close(code: int, reason: str = "") -> bytes:
    """A close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


def acceptance(request: bytes, *, accept: bytes | None = None, extra: bytes = b"") -> bytes:
    """The answer that opens a WebSocket, for a request that asks for one."""
    key = re.search(rb"(?i)sec-websocket-key: *(\S+)", request)
    assert key is not None
    token = base64.b64encode(hashlib.sha1(key[1] + _MAGIC).digest()) if accept is None else accept
    lines = (b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + token)
    return b"\r\n".join(lines) + b"\r\n" + extra + b"\r\n"


class Line:
    """One connection as the peer sees it."""

    def __init__(self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> None:
        self.stream = stream
        self.request = b""
        self._heard = b""

    @property
    def path(self) -> str:
        """The path that was asked for, with its query."""
        return self.request.split(b" ", 2)[1].decode()

    async def read_request(self) -> bytes:
        """Waits for the head of the client's handshake."""
        while b"\r\n\r\n" not in self.request:
            data = await self.stream.receive_some()
            if not data:
                raise trio.BrokenResourceError
            self.request += data
        return self.request

    async def accept(self) -> None:
        """Opens the WebSocket."""
        await self.send(acceptance(await self.read_request()))

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def next_frame(self) -> tuple[int, bytes]:
        """The client's next frame: opcode and payload. Raises `trio.EndOfChannel` when there is none any more."""
        while (found := _first_frame(self._heard)) is None:
            data = await self.stream.receive_some()
            if not data:
                raise trio.EndOfChannel
            self._heard += data
        opcode, payload, self._heard = found
        return opcode, payload

    async def next_text(self) -> bytes:
        """The client's next text frame; pings are answered, and all else is passed over."""
        while True:
            opcode, payload = await self.next_frame()
            if opcode == TEXT:
                return payload
            if opcode == PING:
                await self.send(frame(PONG, payload))

    async def wait_gone(self) -> None:
        """Waits until the client has closed its end, whatever it still says."""
        try:
            while await self.stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass

    async def reset(self) -> None:
        """Cuts the connection as a crash would: the client gets a reset, not an end."""
        below = self.stream.transport_stream if isinstance(self.stream, trio.SSLStream) else self.stream
        below.socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        await trio.aclose_forcefully(below)


def _first_frame(heard: bytes) -> tuple[int, bytes, bytes] | None:
    """The first frame of a client (always masked) and what follows it; None when it is not complete."""
    if len(heard) < 2:
        return None
    short = heard[1] & 0x7F
    wide = 0 if short < 126 else 2 if short == 126 else 8
    begin = 2 + wide + 4
    size = int.from_bytes(heard[2 : 2 + wide], "big") if wide else short
    if len(heard) < begin + size:
        return None
    mask = heard[2 + wide : begin]
    payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(heard[begin : begin + size]))
    return heard[0] & 0x0F, payload, heard[begin + size :]


@asynccontextmanager
async def listening(script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """A peer that plays its script with every client that connects; gives its port. Its connections are closed at the end."""

    async def serve(stream: trio.SocketStream) -> None:
        line = Line(stream if tls is None else trio.SSLStream(stream, tls, server_side=True, https_compatible=True))
        try:
            await script(line)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.EndOfChannel):
            pass  # the client went away
        finally:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host=host)
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def open_files() -> int:
    """How many file descriptors this process holds."""
    return len(os.listdir("/proc/self/fd"))
