"""The writer of an input log: lines gather in memory; twice a second a thread packs and writes them, as a frame of its own.

What is on the disk is readable to its last whole frame, also after a kill. A replay needs every line: when the disk fails, or the
lines pile up beyond the bound, the log ends there and says so, and the run goes on.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import trio

from coldframe.compression import find_zstd
from coldframe.data.input_log import NO_CALLS, Calls, InputEncoder, begin_line
from coldframe.errors import ConfigError
from coldframe.model.effects import Effect
from coldframe.model.inputs import Stamped
from coldframe.trio_io.error_text import reason_of

FLUSH_PERIOD_S: Final = 0.5
#: So many bytes of lines may wait to be written.
BYTE_LIMIT: Final = 256 * 1024 * 1024
#: Levels of compression: the log must stay cheap beside a fast market.
_ZSTD_LEVEL, _GZIP_LEVEL = 1, 1


class InputLog:
    """Writes one input log. `run` is its task; `close` writes what is left. `tell` gets a sentence when the log ends early."""

    def __init__(self, folder: Path, name: str, tell: Callable[[str], None], byte_limit: int = BYTE_LIMIT) -> None:
        zstd = find_zstd()
        self._pack = (
            (lambda data: gzip.compress(data, _GZIP_LEVEL)) if zstd is None else lambda data: zstd.compress(data, _ZSTD_LEVEL)
        )
        self.path = folder / f"{name}.jsonl.{'gz' if zstd is None else 'zst'}"
        self._tell = tell
        self._byte_limit = byte_limit
        self._encoder = InputEncoder()
        self._lines: list[bytes] = []
        self._size = 0
        self._ended = False
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = open(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise ConfigError(f"the input log {self.path} cannot be written: {reason_of(error)}") from None

    def begin(self, at_ns: int, run: dict[str, object]) -> None:
        """Describes the run."""
        self._put(begin_line(at_ns, run))

    def started(self, at_ns: int, effects: Sequence[Effect], calls: Calls = NO_CALLS) -> None:
        """The engine has started."""
        self._put(self._encoder.start(at_ns, effects, calls))

    def stepped(self, stamped: Stamped, effects: Sequence[Effect], calls: Calls = NO_CALLS) -> None:
        """The engine has taken an input in."""
        if not self._ended:
            self._put(self._encoder.step(stamped, effects, calls))

    async def run(self) -> None:
        while True:
            await trio.sleep(FLUSH_PERIOD_S)
            await self.flush()

    async def close(self) -> None:
        with trio.CancelScope(shield=True):
            await self.flush()
            await trio.to_thread.run_sync(self._file.close)

    def _put(self, line: bytes) -> None:
        if self._ended:
            return
        self._lines.append(line)
        self._size += len(line)
        if self._size > self._byte_limit:
            self._lines.clear()
            self._end(f"more than {self._byte_limit // 1_000_000} MB of it waited for the disk")

    async def flush(self) -> None:
        """Writes what waits, in a thread."""
        lines, self._lines, self._size = self._lines, [], 0
        if not lines:
            return
        try:
            await trio.to_thread.run_sync(self._write, lines)
        except OSError as error:
            self._end(reason_of(error))

    def _write(self, lines: Sequence[bytes]) -> None:
        left = memoryview(self._pack(b"".join(line + b"\n" for line in lines)))
        while left:
            left = left[self._file.write(left) :]

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self._tell(f"the input log {self.path} ends here: {reason}; the run goes on, a replay of it ends here")
