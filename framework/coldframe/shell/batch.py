"""A stream under the WebSocket library that takes whole text messages out of the bytes before the library sees them.

A market link brings thousands of small messages; through the library each of them costs a task switch and a slow parse. Here every
message of one socket read is cut out at once and handed over as one batch. Everything else (the handshake, pings, closes,
fragments, anything unusual) goes through to the library untouched, so the protocol stays its business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

_READ: Final = 256 * 1024
_HEAD_END: Final = b"\r\n\r\n"
#: First byte of an unfragmented text frame without extensions; first bytes of data frames that begin or go on with a fragment.
_WHOLE_TEXT: Final = 0x81
_CONTROL: Final = 0x08
_FIN: Final = 0x80
_MASKED: Final = 0x80


class BatchStream(trio.abc.Stream):
    """Wraps a TCP or TLS stream. `take` is called with the payloads of one read, in order; it must not wait."""

    def __init__(self, inner: trio.abc.Stream, take: Callable[[list[bytes]], None], largest: int) -> None:
        self._inner = inner
        self._take = take
        self._largest = largest
        self._buffer = b""
        self._through = bytearray()
        self._in_handshake = True
        self._in_fragments = False
        self._hands_off = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What is left for the library: never a whole text message."""
        while not self._through:
            data = bytes(await self._inner.receive_some(_READ))
            if not data:
                return b""
            self._feed(data)
        most = len(self._through) if max_bytes is None else max_bytes
        given = bytes(self._through[:most])
        del self._through[:most]
        return given

    def _feed(self, data: bytes) -> None:
        self._buffer += data
        if self._in_handshake:
            end = self._buffer.find(_HEAD_END)
            if end < 0 or not self._buffer.startswith(b"HTTP/1.1 101"):
                self._pass_on(len(self._buffer))  # still the handshake, or a refusal: all of it is the library's
                return
            self._in_handshake = False
            self._pass_on(end + len(_HEAD_END))
        if self._hands_off:
            self._pass_on(len(self._buffer))
        else:
            self._cut()

    def _cut(self) -> None:
        """Takes every complete frame out of the buffer."""
        buffer, at, batch = self._buffer, 0, []
        size = len(buffer)
        while size - at >= 2:
            length, begin = buffer[at + 1], at + 2
            if length >= 126:
                begin += 2 if length == 126 else 8
                if size < begin:
                    break
                length = int.from_bytes(buffer[at + 2 : begin], "big")
            if length > self._largest or buffer[at + 1] & _MASKED:
                self._hands_off = True  # too large, or against the protocol: the library knows what to do
                break
            end = begin + length
            if size < end:
                break
            if buffer[at] == _WHOLE_TEXT and not self._in_fragments:
                batch.append(buffer[begin:end])
            else:
                self._note_fragment(buffer[at])
                self._through += buffer[at:end]
            at = end
        self._buffer = buffer[at:]
        if batch:
            self._take(batch)
        if self._hands_off:
            self._pass_on(len(self._buffer))

    def _note_fragment(self, first: int) -> None:
        """Whether the library is in the middle of a fragmented message from here on."""
        if not first & _CONTROL:
            self._in_fragments = not first & _FIN

    def _pass_on(self, count: int) -> None:
        self._through += self._buffer[:count]
        self._buffer = self._buffer[count:]
