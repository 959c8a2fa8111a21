"""Trio reads the bytes and does nothing with them: the floor under everything that is built on Trio.

Whole frames are counted, so that it knows where it is; nothing is decoded.
"""

from __future__ import annotations

import trio
from measuring import Given, Marks

_DEPTH = b"@depth"


async def main() -> None:
    given = Given()
    marks = Marks(given.marks, given.out)
    stream: trio.abc.Stream = await trio.open_tcp_stream("127.0.0.1", given.port)
    if given.tls is not None:
        stream = trio.SSLStream(stream, given.tls, server_hostname="localhost", https_compatible=True)
    path = given.url.split(given.host)[1]
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade"
    key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: {given.host}\r\n{upgrade}\r\n{key}\r\n\r\n".encode())
    left, begun = b"", b""
    while got := await stream.receive_some(65_536):
        left += got
        if not begun:
            _, begun, left = left.partition(b"\r\n\r\n")
        left = left[counted(left, marks) :]


def counted(got: bytes, marks: Marks) -> int:
    """Counts the frames that are whole; returns where the next one begins."""
    at, end = 0, len(got)
    while at + 2 <= end:
        size, body = got[at + 1], at + 2
        if size == 126:
            size, body = int.from_bytes(got[at + 2 : at + 4], "big"), at + 4
        elif size == 127:
            size, body = int.from_bytes(got[at + 2 : at + 10], "big"), at + 10
        if body + size > end:
            break
        at = body + size
        if got.find(_DEPTH, body, body + 32) < 0:
            marks.small()
    return at


if __name__ == "__main__":
    trio.run(main)
