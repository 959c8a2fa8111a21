"""A stream under the WebSocket library that takes whole text messages out of the bytes before the library sees them.

A market link brings thousands of small messages; through the library each of them costs a task switch and a slow parse. Here every
message of one socket read is cut out at once and handed over as one batch. The handshake, pings and pongs go through to the library
untouched. From the first frame on that is anything else (a fragment, a binary frame, a close, an offence against the protocol) all
bytes are the library's: the protocol stays its business, and no message overtakes another.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import trio

_READ: Final = 256 * 1024
#: Where the library's HTTP parser sees the end of a head.
_HEAD_END: Final = re.compile(rb"\n\r?\n")
#: How much of an answer to the handshake is kept.
_ANSWER_LIMIT: Final = 64 * 1024
#: First bytes of an unfragmented text frame without extensions, and of pings and pongs.
_WHOLE_TEXT: Final = 0x81
_PING_PONG: Final = (0x89, 0x8A)
_MASKED: Final = 0x80
#: Lengths up to this one have no bytes of their own; lengths up to the next have two. Longer than it need be is an offence.
_ONE_BYTE: Final = 125
_TWO_BYTES: Final = 0xFFFF


class BatchStream(trio.abc.Stream):
    """Wraps a TCP or TLS stream. `take` is called with the payloads of one read, in order; it must not wait.

    What is taken is what the library would have given: valid UTF-8 in frames that keep to the protocol.
    """

    def __init__(self, inner: trio.abc.Stream, take: Callable[[list[bytes]], None], largest: int) -> None:
        self._inner = inner
        self._take = take
        self._largest = largest
        #: Bytes of frames that are not complete, and how many there must be before it is worth looking at them again.
        self._buffer = bytearray()
        self._least = 0
        self._through = bytearray()
        self._in_handshake = True
        self._held_back = False
        self._begun = trio.Event()
        self._hands_off = False
        #: What came until the handshake was done: all of a refusal that matters.
        self.answer = b""
        #: Set when nothing more will come, or can be sent.
        self.ended = trio.Event()

    def begin(self) -> None:
        """The handshake is as it should be, and who takes messages is ready for them: until now nothing behind it is looked at."""
        self._begun.set()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._inner.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.ended.set()
            raise

    async def wait_send_all_might_not_block(self) -> None:
        await self._inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        self.ended.set()
        await self._inner.aclose()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What is left for the library: never a whole text message, unless something unusual came before it."""
        while not self._through:
            if self._held_back:
                await self._begun.wait()
                self._held_back = False
                self._cut()
                continue
            try:
                data = bytes(await self._inner.receive_some(_READ))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self.ended.set()
                raise
            if not data:
                self.ended.set()
                return b""
            self._feed(data)
        most = len(self._through) if max_bytes is None else max_bytes
        given = bytes(self._through[:most])
        del self._through[:most]
        return given

    def _feed(self, data: bytes) -> None:
        if self._in_handshake:
            data = self._after_handshake(data)
        if self._hands_off:
            self._through += data
        elif data:
            self._buffer += data
            if not self._held_back and len(self._buffer) >= self._least:
                self._cut()

    def _after_handshake(self, data: bytes) -> bytes:
        """Passes on what belongs to the handshake, or is a refusal of it, and returns what follows it."""
        begun = len(self.answer)
        if begun < _ANSWER_LIMIT:
            self.answer += data
        head = _HEAD_END.search(self.answer)
        if head is None or not self.answer.startswith(b"HTTP/1.1 101"):
            self._through += data
            return b""
        self._in_handshake = False
        self._held_back = True
        rest = head.end() - begun
        self._through += data[:rest]
        return data[rest:]

    def _cut(self) -> None:
        """Takes every complete frame out of the buffer, as long as there are only whole texts, pings and pongs."""
        buffer, at, batch = bytes(self._buffer), 0, []
        size, self._least = len(buffer), 0
        while size - at >= 2:
            found = self._payload_at(buffer, at)
            if found is None:
                self._hands_off = True
                break
            begin, end = found
            if size < end:
                self._least = end - at
                break
            if buffer[at] != _WHOLE_TEXT:
                self._through += buffer[at:end]
            elif _is_text(payload := buffer[begin:end]):
                batch.append(payload)
            else:
                self._hands_off = True
                break
            at = end
        del self._buffer[:at]
        if batch:
            self._take(batch)
        if self._hands_off:
            self._through += self._buffer
            self._buffer.clear()

    def _payload_at(self, buffer: bytes, at: int) -> tuple[int, int] | None:
        """Where the payload of the frame at `at` begins and ends, perhaps beyond the buffer; None for an unusual frame."""
        first, length, begin = buffer[at], buffer[at + 1], at + 2
        if length <= _ONE_BYTE:
            return (begin, begin + length) if first == _WHOLE_TEXT or first in _PING_PONG else None
        if first != _WHOLE_TEXT or length & _MASKED:
            return None
        begin, least = (begin + 2, _ONE_BYTE) if length == 126 else (begin + 8, _TWO_BYTES)
        if len(buffer) < begin:
            return begin, begin
        length = int.from_bytes(buffer[at + 2 : begin], "big")
        return (begin, begin + length) if least < length <= self._largest else None


def _is_text(payload: bytes) -> bool:
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
