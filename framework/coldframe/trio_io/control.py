"""What is said over a run's control channel, and how it is asked: one line of JSON each way, over an endpoint of its owner's.

A connection asks for one thing and is answered once, by the kill switch's own thread (`control_server`). A request names its
version, and another one than ours is refused in words. `docs/halting.md` describes them.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final, Literal

import msgspec

from coldframe.core.execution.absence_proof import ManualResolution
from coldframe.errors import DecodeError
from coldframe.model.halting import Halt, HaltLevel
from coldframe.trio_io.clock import monotonic_s
from coldframe.trio_io.endpoint import reach
from coldframe.wire.strict import read_as, run

VERSION: Final = 1
#: The longest request, and the longest answer, in bytes. An answer lists what could not be done, order by order.
LONGEST_REQUEST: Final = 4096
_LONGEST_ANSWER: Final = 1 << 20
#: So many runs of one halt file are asked at a time.
_AT_A_TIME: Final = 16


class HaltRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="halt", tag_field="command"):
    """Halts one strategy, or all. `at_ms` is when it was asked for: the same halt, asked of several runs, is one halt."""

    version: int
    level: HaltLevel
    strategy: str | None = None
    reason: str = ""
    at_ms: int = 0

    @property
    def halt(self) -> Halt:
        return Halt(self.level, self.strategy, self.reason, self.at_ms)


class ResumeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="resume", tag_field="command"):
    """Takes the halt of one strategy away, or all halts, and opens what limits have shut."""

    version: int
    strategy: str | None = None


class ResolveRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="resolve", tag_field="command"):
    """Says what became of an order whose fate could not be proved."""

    version: int
    order: str
    outcome: ManualResolution


Request = HaltRequest | ResumeRequest | ResolveRequest


class HaltRow(msgspec.Struct, frozen=True):
    """A halt that holds now."""

    level: HaltLevel
    strategy: str | None
    reason: str


class ControlAnswer(msgspec.Struct, frozen=True):
    """What became of a request: `text` in one sentence, `lines` in detail.

    `unanswered`: the run stands still, and takes it in when it goes on. `failed`: accepted, but not all of it could be done.
    """

    version: int
    result: Literal["accepted", "refused", "unanswered"]
    text: str
    lines: list[str] = []
    halts: list[HaltRow] = []
    failed: bool = False
    pid: int = 0

    @property
    def accepted(self) -> bool:
        return self.result == "accepted"


class _Versioned(msgspec.Struct):
    version: int


_REQUESTS: Final = msgspec.json.Decoder(Request)


def read_request(line: bytes) -> Request:
    """The request in a line. Raises `DecodeError` with a sentence."""
    version = read_as(_Versioned, line).version
    if version != VERSION:
        raise DecodeError(f"version {version} is not spoken here, {VERSION} is", line)
    request: Request = run(_REQUESTS, line)
    return request


def write_line(message: Request | ControlAnswer) -> bytes:
    """A message as it is sent."""
    return msgspec.json.encode(message) + b"\n"


def ask_each(folder: Path, names: list[str], request: Request, patience_s: float) -> Mapping[str, ControlAnswer | None]:
    """Asks each of several runs, at the same time; None for one that has not answered in time or not in these words."""
    if not names:
        return {}
    with ThreadPoolExecutor(min(len(names), _AT_A_TIME)) as pool:
        return dict(zip(names, pool.map(lambda name: _ask(folder, name, request, patience_s), names), strict=True))


def _ask(folder: Path, name: str, request: Request, patience_s: float) -> ControlAnswer | None:
    until_s = monotonic_s() + patience_s
    connection = reach(folder, name, patience_s)
    if connection is None:
        return None
    with closing(connection):
        try:
            connection.sendall(write_line(request))
            return read_as(ControlAnswer, _line(connection, until_s))
        except (OSError, DecodeError):
            return None


def _line(connection: socket.socket, until_s: float) -> bytes:
    """One line; what has come when time is over, or the other side has gone."""
    read = b""
    while b"\n" not in read and len(read) < _LONGEST_ANSWER:
        connection.settimeout(max(until_s - monotonic_s(), 0.001))
        part = connection.recv(1 << 16)
        if not part:
            break
        read += part
    return read.partition(b"\n")[0]
