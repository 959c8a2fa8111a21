"""One line of a recording: a stream payload, or a depth snapshot, with the time it was received.

Form: `{"t":<recv ns>,"stream":"<name>","data":<payload as sent>}` and `{"t":…,"snapshot":"<SYMBOL>","data":<depth body>}`.
Payloads stay bytes as they were sent. Files and compression are opened elsewhere.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, UnsetType

from coldframe.errors import DecodeError
from coldframe.wire.streams import Integer
from coldframe.wire.strict import read_as

#: The longest line there can be: a message of a link has eight million bytes at most, a snapshot far fewer.
LONGEST_LINE: Final = 16 * 1024 * 1024

#: A stream's name, or a symbol: far longer than any there is.
_Name = Annotated[str, msgspec.Meta(max_length=200)]


class RecordingLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line. Exactly one of `stream` and `snapshot` is set; `t` is our receive time in epoch nanoseconds."""

    t: Integer
    data: msgspec.Raw
    stream: _Name | UnsetType = UNSET
    snapshot: _Name | UnsetType = UNSET

    @property
    def payload(self) -> bytes:
        return bytes(self.data)


def parse_line(line: bytes) -> RecordingLine:
    """The line of a recording. Raises `DecodeError` for anything else."""
    if len(line) > LONGEST_LINE:
        raise DecodeError(f"a line of {len(line)} bytes; the longest there can be has {LONGEST_LINE}", line)
    parsed = read_as(RecordingLine, line)
    if (parsed.stream is UNSET) == (parsed.snapshot is UNSET):
        raise DecodeError("a line must carry either a stream or a snapshot", line)
    return parsed


def stream_line(at_ns: int, name: str, payload: bytes) -> bytes:
    """A received payload as a line, without the newline."""
    return b'{"t":%d,"stream":%b,"data":%b}' % (at_ns, msgspec.json.encode(name), payload)


def snapshot_line(at_ns: int, symbol: str, body: bytes) -> bytes:
    """A received depth snapshot as a line, without the newline."""
    return b'{"t":%d,"snapshot":%b,"data":%b}' % (at_ns, msgspec.json.encode(symbol), body)
