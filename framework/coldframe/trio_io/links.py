"""All WebSockets of a run: opened, written to and closed as the engine says, each with its reader, writer and keep-alive.

A link's life is one task. Whatever ends it is caught here and nowhere else, and reported: first the requests that were certainly
not written, then the loss of the link. A bug is not a link error and goes up.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final, assert_never

import attrs
import trio
from trio_websocket import WebSocketConnection

from coldframe.core.connectivity.signing import Signer, sign_api, stamp
from coldframe.errors import Banned, LinkDropped, LinkError, LinkRefused
from coldframe.model.effects import CloseLink, LinkKind, OpenLink, SendControl, SendRequest
from coldframe.model.inputs import FramesReceived, Lane, LinkLost, LinkOpened, RequestNotWritten, RequestWritten
from coldframe.trio_io.error_text import first_error
from coldframe.trio_io.inbox import Inbox
from coldframe.trio_io.link import USUAL, LinkAddress, LinkLimits, close_when, keep_alive, open_websocket, read, write
from coldframe.wire.api import METHODS, Security, request_frame
from coldframe.wire.routes import Endpoints

#: Requests that may add to a position: too late is worse than never.
PLACING: Final = frozenset({"order.place", "order.modify", "algoOrder.place"})


@attrs.frozen
class _Request:
    """A request that still has to be stamped, signed and written."""

    effect: SendRequest
    decided_ms: int


_Frame = bytes | _Request


@attrs.define
class _OpenLink:
    """One link as its writers see it."""

    effect: OpenLink
    outbox: trio.MemorySendChannel[_Frame]
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    #: Set when the engine wants it closed: no loss is reported then.
    closing: trio.Event = attrs.field(factory=trio.Event)
    opened: bool = False
    ended: trio.Event = attrs.field(factory=trio.Event)


class Links:
    """The WebSockets of a run: market streams from the venue `market`, orders and their reports with the venue `orders`.

    `signer` is None for a run without orders; `offset_ms` is what to add to our time.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        inbox: Inbox,
        market: Endpoints,
        orders: Endpoints,
        tls: ssl.SSLContext,
        now_ms: Callable[[], int],
        signer: Signer | None,
        recv_window_ms: int,
        limits: LinkLimits = USUAL,
    ) -> None:
        self._nursery = nursery
        self._inbox = inbox
        self._market = market
        self._orders = orders
        self._tls = tls
        self._now_ms = now_ms
        self._signer = signer
        self._recv_window_ms = recv_window_ms
        self._limits = limits
        self._links: dict[str, _OpenLink] = {}
        self.offset_ms = 0
        #: Told of every market frame: the recorder, or the paper venue's mirror.
        self.taps: list[Callable[[bytes], None]] = []
        #: How old what an order was decided on may be when it is written (0: any age).
        self.max_age_ms = 0
        #: Asked before a request is written: why it must not be, or None.
        self.guard: Callable[[SendRequest], str | None] = lambda _: None

    # -- what the engine asks for; nothing here waits ------------------------------------------------------------------

    def open(self, effect: OpenLink) -> None:
        send, receive = trio.open_memory_channel[_Frame](self._limits.outbox)
        self._links[effect.link] = link = _OpenLink(effect, send)
        self._nursery.start_soon(self._keep_link, link, receive, name=f"link {effect.link}")

    def close(self, effect: CloseLink) -> None:
        link = self._links.pop(effect.link, None)
        if link is not None:
            _ask_to_close(link)

    async def close_all(self) -> None:
        """Closes every link and waits until they are closed, for a moment at most."""
        links = list(self._links.values())
        for link in links:
            _ask_to_close(link)
        with trio.move_on_after(self._limits.close_s):
            for link in links:
                await link.ended.wait()

    def send_control(self, effect: SendControl) -> None:
        link = self._links.get(effect.link)
        if link is not None:
            self._put(link, effect.frame)

    def send_request(self, effect: SendRequest, decided_ms: int = 0) -> None:
        """Writes a request when its turn comes. `decided_ms` is when what it was decided on had come in (0: now)."""
        link = self._links.get(effect.link)
        if link is None or not self._put(link, _Request(effect, decided_ms or self._now_ms())):
            self._not_written(effect, "the link is gone or full")

    def _put(self, link: _OpenLink, frame: _Frame) -> bool:
        try:
            link.outbox.send_nowait(frame)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return True

    def _not_written(self, effect: SendRequest, reason: str) -> None:
        self._inbox.put(Lane.CONTROL, RequestNotWritten(effect.link, effect.request_id, reason))

    # -- the life of a link -------------------------------------------------------------------------------------------

    async def _keep_link(self, link: _OpenLink, outbox: trio.MemoryReceiveChannel[_Frame]) -> None:
        lost = LinkLost(link.effect.link, "ended")
        try:
            with link.scope:
                await self._run(link, outbox)
        except* LinkError as group:
            error = first_error(group)
            lost = LinkLost(link.effect.link, str(error), error.code if isinstance(error, LinkDropped) else None)
        except* Banned as group:
            error = first_error(group)
            until_ms = error.until_ms if isinstance(error, Banned) else 0
            lost = LinkLost(link.effect.link, str(error), banned_until_ms=until_ms)
        finally:
            self._links.pop(link.effect.link, None)
            link.ended.set()
        self._give_back(outbox)
        if not link.closing.is_set():
            self._inbox.put(Lane.CONTROL, lost)

    def _give_back(self, outbox: trio.MemoryReceiveChannel[_Frame]) -> None:
        """What still waited was certainly not written."""
        while True:
            try:
                frame = outbox.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                break
            if isinstance(frame, _Request):
                self._not_written(frame.effect, "the link ended before it was written")
        outbox.close()

    async def _run(self, link: _OpenLink, outbox: trio.MemoryReceiveChannel[_Frame]) -> None:
        try:
            address = LinkAddress.of(self._url(link.effect), self._tls)
        except ValueError as error:
            raise LinkRefused(str(error)) from None
        take = self._taker(link)
        async with open_websocket(address, self._now_ms, take, self._limits) as socket:
            link.opened = True
            self._inbox.put(Lane.CONTROL, LinkOpened(link.effect.link))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(close_when, link.closing, socket, self._limits)
                nursery.start_soon(self._write_all, socket, outbox)
                nursery.start_soon(keep_alive, socket, self._limits)
                await read(socket, take)

    def _url(self, effect: OpenLink) -> str:
        match effect.kind:
            case LinkKind.API:
                return self._orders.api
            case LinkKind.PRIVATE:
                return self._orders.streams + effect.path
            case LinkKind.MARKET:
                return self._market.streams + effect.path
            case unknown:
                assert_never(unknown)

    def _taker(self, link: _OpenLink) -> Callable[[list[bytes]], None]:
        name, inbox, taps = link.effect.link, self._inbox, self.taps
        if link.effect.kind is not LinkKind.MARKET:
            return lambda frames: inbox.put(Lane.PRIVATE, FramesReceived(name, tuple(frames)))

        def take_frames(frames: list[bytes]) -> None:
            inbox.put_frames(name, frames)
            for tap in taps:
                for frame in frames:
                    tap(frame)

        return take_frames

    # -- writing ------------------------------------------------------------------------------------------------------

    async def _write_all(self, socket: WebSocketConnection, outbox: trio.MemoryReceiveChannel[_Frame]) -> None:
        async for frame in outbox:
            if isinstance(frame, _Request):
                await self._write_request(socket, frame.effect, frame.decided_ms)
            else:
                await write(socket, frame, self._limits)

    async def _write_request(self, socket: WebSocketConnection, effect: SendRequest, decided_ms: int) -> None:
        """Stamps and signs at the last moment: a request that waited must not be too old when it arrives."""
        if socket.closed is not None:
            self._not_written(effect, "the link ended before it was written")
            return
        if (against := self.guard(effect) or self._too_old(effect, decided_ms)) is not None:
            self._not_written(effect, against)
            return
        timestamp_ms = self._now_ms() + self.offset_ms
        frame = request_frame(effect.request_id, effect.method, self._prepared(effect, timestamp_ms))
        # Said before the first byte: from now on some of it may have left, so its order may exist, and no answer can come first.
        self._inbox.put(Lane.CONTROL, RequestWritten(effect.link, effect.request_id, timestamp_ms))
        await write(socket, frame, self._limits)

    def _too_old(self, effect: SendRequest, decided_ms: int) -> str | None:
        """Why an order may not be sent: it was decided before the run stood still. None when it may."""
        age_ms = self._now_ms() - decided_ms
        if not self.max_age_ms or age_ms <= self.max_age_ms or effect.method not in PLACING:
            return None
        return f"based on market data {age_ms} ms old: more than orders.max_age_ms = {self.max_age_ms}"

    def _prepared(self, effect: SendRequest, timestamp_ms: int) -> dict[str, str | int]:
        security = METHODS[effect.method].security
        signer = self._signer
        if security is Security.NONE or signer is None:
            return dict(effect.params)
        if security is Security.KEY:
            return {**effect.params, "apiKey": signer.api_key.reveal()}
        if effect.method == "session.logon" or not signer.can_log_on:
            return sign_api(effect.params, signer, timestamp_ms, self._recv_window_ms)
        return stamp(effect.params, timestamp_ms, self._recv_window_ms)


def _ask_to_close(link: _OpenLink) -> None:
    link.closing.set()
    if not link.opened:
        link.scope.cancel()
