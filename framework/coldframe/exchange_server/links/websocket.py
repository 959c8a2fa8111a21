"""What all WebSocket links share: one writer, one reader, pings that must be answered, and a life that ends.

We own the stream below: however a link ends, it is closed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import trio

from coldframe.exchange.settings import EmbeddedVenue as Settings
from coldframe.exchange_server.links.outbox import Outbox
from coldframe.exchange_server.links.socket import Closed, CloseReason, ServerSocket

#: How long a peer may take to answer a close.
_CLOSE_S: Final = 2
GOING_AWAY: Final = 1001
POLICY: Final = 1008


#: Is given every frame that comes in; it must not wait.
Receive = Callable[[str | bytes], None]


def _nothing() -> None:
    """Most links have nothing to do before the first frame."""


class SocketLink:
    """Runs one connection: `receive` is given every text frame that comes in, `outbox` is sent."""

    def __init__(self, socket: ServerSocket, settings: Settings, now_ms: Callable[[], int]) -> None:
        self.outbox = Outbox()
        self._socket = socket
        self._settings = settings
        self._now_ms = now_ms
        self._nursery: trio.Nursery | None = None
        self._close_reason = CloseReason(POLICY, "Too slow")

    async def run(self, receive: Receive, begin: Callable[[], None] = _nothing) -> None:
        """Serves the connection until either side ends it; `begin` is called first."""
        close_reason: CloseReason | None = None
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._guarded(begin)
                nursery.start_soon(self._read, receive)
                nursery.start_soon(self._keep_pinging)
                nursery.start_soon(self._grow_old)
                await self._write()
        except* CloseReason as group:
            close_reason = _first(group)
        except* Closed:
            pass  # the peer ended it
        finally:
            self.outbox.close()
        if close_reason is not None:
            await self._close(close_reason)

    def drop(self) -> None:
        """Cuts the connection off without a word, as a broken cable would."""
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def also(self, work: Callable[[], Awaitable[None]]) -> None:
        """Starts something that takes time, as long as the link lives."""
        if self._nursery is not None:
            self._nursery.start_soon(work)

    def part(self, close_reason: CloseReason) -> None:
        """Ends the connection as soon as what is in the outbox has been sent: no frame is ever cut."""
        self._close_reason = close_reason
        self.outbox.end()

    def _guarded(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except CloseReason as close_reason:
            self.part(close_reason)
            return False
        return True

    async def _read(self, receive: Receive) -> None:
        try:
            while True:
                frame = await self._socket.get_message()
                if not self._guarded(partial(receive, frame)):
                    return
        except CloseReason as close_reason:  # the peer has offended against the protocol
            self.part(close_reason)

    async def _write(self) -> None:
        while (frame := await self.outbox.wait_next()) is not None:
            await self._socket.send_message(frame)
        raise self._close_reason

    async def _grow_old(self) -> None:
        await trio.sleep(float(self._settings.link_lifetime_s))
        self.part(CloseReason(GOING_AWAY, "Connection lifetime is over"))

    async def _keep_pinging(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                await trio.sleep(float(self._settings.ping_interval_s))
                nursery.start_soon(self._ping)

    async def _ping(self) -> None:
        """One ping with the venue's time as payload; a peer that does not answer it is gone."""
        with trio.move_on_after(float(self._settings.pong_timeout_s)) as patience:
            await self._socket.ping(str(self._now_ms()).encode())
        if patience.cancelled_caught:
            self.part(CloseReason(POLICY, "Pong timeout"))

    async def _close(self, close_reason: CloseReason) -> None:
        with trio.move_on_after(_CLOSE_S):
            await self._socket.aclose(close_reason.code, close_reason.reason)


def _first(group: BaseExceptionGroup[CloseReason]) -> CloseReason:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, CloseReason)
    return found
