"""What lies below a connection: a stream whose writes have a limit, a stream that a fault cuts, and the orderly end of either."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from coldframe.exchange.endpoints.connection_life import RequestBytes
from coldframe.exchange.endpoints.outgoing_frames import WRITE_MS

READ: Final = 65_536
#: How long, and for how many bytes, we listen to a peer that has been told its last word.
_LINGER_S: Final = 1
_LINGER_BYTES: Final = 16 * 1024 * 1024


class Below(trio.abc.Stream):
    """A stream on top of another one, and nothing else."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.stream.aclose()


class Limited(Below):
    """A stream that breaks when a write takes too long: half of it may be on the cable, so nothing can follow."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._in_time(self.stream.send_all, data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._in_time(self.stream.wait_send_all_might_not_block)

    async def _in_time(self, work: Callable[..., Awaitable[None]], *args: object) -> None:
        with trio.move_on_after(WRITE_MS / 1000) as patience:
            await work(*args)
        if patience.cancelled_caught:
            await trio.aclose_forcefully(self.stream)
            raise trio.BrokenResourceError(f"the peer has not read for {WRITE_MS // 1000} s")


class CutAfterBytes(Below):
    """A stream that breaks when as many bytes have been read from it as a fault lets through."""

    def __init__(self, stream: trio.abc.Stream, limit: RequestBytes) -> None:
        super().__init__(stream)
        self._limit = limit

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._check()
        await self.stream.send_all(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        self._check()
        part = await self.stream.receive_some(min(max_bytes or READ, self._limit.left))
        self._limit.read(len(part))
        return part

    def _check(self) -> None:
        if self._limit.used_up:
            raise trio.BrokenResourceError("as many bytes as were wanted have been read")


async def linger(stream: trio.abc.Stream) -> None:
    """Lets what was written last reach the peer, and says that nothing follows.

    A stream that is closed with bytes unread is reset by the system, and what was on its way to the peer is lost.
    """
    below = stream
    while isinstance(below, Below):
        below = below.stream
    with trio.move_on_after(_LINGER_S):
        if isinstance(below, trio.abc.HalfCloseableStream):
            await below.send_eof()
        left = _LINGER_BYTES
        while left > 0 and (part := await stream.receive_some(READ)):
            left -= len(part)
