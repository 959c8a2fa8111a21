"""Between the bot and its venue: passes every byte on, and lets a watcher look at each whole message before and after it does.

What the watcher withholds never arrives; so a bot can be killed at any moment that shows on the wire, without a word about it in
its own code. It follows requests and answers of the WebSocket API and private events; market data and REST pass unread.
"""

from __future__ import annotations

from typing import Final, Protocol

import attrs
import trio

_READ: Final = 65_536
_API: Final = "/ws-fapi/"
_PRIVATE: Final = "/private/"


class Withheld(Exception):
    """Raised by a watcher: the message is not passed on, and its connection ends."""


@attrs.frozen
class Passing:
    """One whole text message on its way."""

    path: str
    to_venue: bool
    text: bytes

    @property
    def api(self) -> bool:
        return self.path.startswith(_API)

    @property
    def private(self) -> bool:
        return self.path.startswith(_PRIVATE)


class Watcher(Protocol):
    """Looks at what passes a relay, and may withhold it."""

    async def before(self, passing: Passing) -> None:
        """Called before the bytes of a message are passed on; may raise `Withheld`."""

    async def after(self, passing: Passing) -> None:
        """Called when they have been passed on."""


class Frames:
    """The text messages in one direction of a connection, as its bytes pass: an HTTP head first, then frames (RFC 6455, 5.2)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.head = b""

    def feed(self, part: bytes) -> list[bytes]:
        """Takes in bytes; gives the text messages that they complete."""
        self._buffer += part
        if not self.head:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return []
            self.head = bytes(self._buffer[: end + 4])
            del self._buffer[: end + 4]
        found = []
        while (frame := self._next()) is not None:
            opcode, payload = frame
            if opcode == 1:
                found.append(payload)
        return found

    def _next(self) -> tuple[int, bytes] | None:
        """The next whole frame: its opcode and its payload, unmasked."""
        have = self._buffer
        if len(have) < 2:
            return None
        length, begin = have[1] & 0x7F, 2
        if length >= 126:
            wide = 2 if length == 126 else 8
            length, begin = int.from_bytes(have[2 : 2 + wide], "big"), 2 + wide
        mask = b""
        if have[1] & 0x80:
            mask = bytes(have[begin : begin + 4])
            begin += 4
        if len(have) < begin + length:
            return None
        opcode, payload = have[0] & 0x0F, bytes(have[begin : begin + length])
        del have[: begin + length]
        return opcode, _unmasked(payload, mask) if mask else payload


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")


class Relay:
    """Listens in the venue's place."""

    def __init__(self, venue_port: int, watcher: Watcher) -> None:
        self._venue_port = venue_port
        self._watcher = watcher

    async def serve(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        """Serves until it is cancelled; reports its port."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        task_status.started(int(listeners[0].socket.getsockname()[1]))
        await trio.serve_listeners(self._connect, listeners)

    async def _connect(self, bot: trio.SocketStream) -> None:
        try:
            venue = await trio.open_tcp_stream("127.0.0.1", self._venue_port)
        except OSError:
            await trio.aclose_forcefully(bot)
            return
        try:
            async with trio.open_nursery() as nursery:
                asked = Frames()
                nursery.start_soon(self._pump, nursery.cancel_scope, bot, venue, asked, asked)
                nursery.start_soon(self._pump, nursery.cancel_scope, venue, bot, Frames(), asked)
        finally:
            await trio.aclose_forcefully(venue)
            await trio.aclose_forcefully(bot)

    async def _pump(
        self, link: trio.CancelScope, source: trio.SocketStream, sink: trio.SocketStream, frames: Frames, asked: Frames
    ) -> None:
        """Passes one direction on until either side ends."""
        try:
            while part := await source.receive_some(_READ):
                passing = self._read(bytes(part), frames, asked)
                for item in passing:
                    await self._watcher.before(item)
                await sink.send_all(part)
                for item in passing:
                    await self._watcher.after(item)
        except (trio.BrokenResourceError, trio.ClosedResourceError, Withheld):
            pass
        link.cancel()

    @staticmethod
    def _read(part: bytes, frames: Frames, asked: Frames) -> list[Passing]:
        """The messages that a part completes, where they are followed at all."""
        if frames is not asked and not _path(asked.head).startswith((_API, _PRIVATE)):
            return []
        if frames is asked and asked.head and not _path(asked.head).startswith((_API, _PRIVATE)):
            return []
        texts = frames.feed(part)
        path = _path(asked.head)
        return [Passing(path, frames is asked, text) for text in texts] if path.startswith((_API, _PRIVATE)) else []


def _path(head: bytes) -> str:
    """The path of a request head; empty before it is complete."""
    words = head.split(b" ", 2)
    return words[1].decode("latin-1") if len(words) == 3 else ""
