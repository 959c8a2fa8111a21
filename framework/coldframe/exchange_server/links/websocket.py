"""What all WebSocket links share: one writer, one reader, pings that must be answered, and a life that ends.

We own the stream below: however a link ends, it is closed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import assert_never

import trio

from coldframe.exchange.endpoints.connection_life import CloseFrame, ConnectionLife, SendPing
from coldframe.exchange.endpoints.outgoing_frames import CLOSE_MS
from coldframe.exchange_server.links.outbox import Outbox
from coldframe.exchange_server.links.socket import Closed, CloseReason, ServerSocket, clock_ms

#: Is given every frame that comes in; it must not wait.
Receive = Callable[[str | bytes], None]


def _nothing() -> None:
    """Most links have nothing to do before the first frame."""


class SocketLink:
    """Runs one connection: `receive` is given every text frame that comes in, `outbox` is sent."""

    def __init__(self, socket: ServerSocket, life: ConnectionLife, now_ms: Callable[[], int]) -> None:
        self.outbox = Outbox()
        self._socket = socket
        self._now_ms = now_ms
        self._nursery: trio.Nursery | None = None
        self._life = life

    async def run(self, receive: Receive, begin: Callable[[], None] = _nothing) -> None:
        """Serves the connection until either side ends it; `begin` is called first."""
        close: CloseFrame | None = None
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                begin()
                nursery.start_soon(self._read, receive)
                nursery.start_soon(self._keep_alive)
                await self._write()
                close = self.outbox.close_frame
                nursery.cancel_scope.cancel()
        except* Closed:
            pass  # the peer ended it
        finally:
            self.outbox.abandon()
        if close is not None:
            await self._say_close(close)

    def drop(self) -> None:
        """Cuts the connection off without a word, as a broken cable would."""
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def start_work(self, work: Callable[[], Awaitable[None]]) -> None:
        """Starts something that takes time, as long as the link lives."""
        if self._nursery is not None:
            self._nursery.start_soon(work)

    def end_with(self, frame: CloseFrame) -> None:
        """Ends the connection with this close frame as soon as what is in the outbox has been sent: no frame is ever cut."""
        self.outbox.end(frame)

    async def _read(self, receive: Receive) -> None:
        try:
            while self.outbox.close_frame is None:
                receive(await self._socket.get_message())
        except CloseReason as offence:
            self.end_with(offence.frame)

    async def _write(self) -> None:
        """Sends what is in the outbox, until no frame will follow."""
        while (frame := await self.outbox.wait_next()) is not None:
            await self._socket.send_message(frame)

    async def _keep_alive(self) -> None:
        """Does what the connection's age and its pings call for, when it is due."""
        async with trio.open_nursery() as nursery:
            while True:
                await trio.sleep(max(1, self._life.next_due_ms - clock_ms()) / 1000)
                match self._life.advance(clock_ms(), self._now_ms()):
                    case SendPing(payload):
                        nursery.start_soon(self._socket.send_ping, payload)
                    case CloseFrame() as frame:
                        self.end_with(frame)
                        return
                    case None:
                        pass
                    case unknown:
                        assert_never(unknown)

    async def _say_close(self, frame: CloseFrame) -> None:
        with trio.move_on_after(CLOSE_MS / 1000):
            await self._socket.aclose(frame)
