"""The recorder: what the market links bring, written as it came, in the format that the embedded venue plays.

Lines gather in memory and are written by one task in a thread, so that a slow disk holds up nothing; when they pile up beyond the
bound the oldest are left out and counted. The file is gzip: readable with any tool.
"""

from __future__ import annotations

import gzip
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import trio

from coldframe.errors import ConfigError
from coldframe.wire.frames import cut_envelope
from coldframe.wire.tape import snapshot_line, stream_line

FLUSH_PERIOD_S: Final = 0.5
LINE_LIMIT: Final = 200_000


class Recorder:
    """Writes one recording. `run` is its task; `close` writes what is left."""

    def __init__(self, path: Path, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._lines: deque[bytes] = deque(maxlen=LINE_LIMIT)
        self.left_out = 0
        try:
            self._file = gzip.open(path, "wb", compresslevel=6)  # noqa: SIM115  (closed by `close`)
        except OSError as error:
            raise ConfigError(f"the recording {path} cannot be written: {error.strerror}") from None

    def frame(self, frame: bytes) -> None:
        """A frame of a market link; anything but a payload is left out."""
        cut = cut_envelope(frame)
        if cut is not None:
            self._put(stream_line(self._now_ns(), *cut))

    def snapshot(self, symbol: str, body: bytes) -> None:
        """A depth snapshot that was fetched."""
        self._put(snapshot_line(self._now_ns(), symbol, body))

    async def run(self) -> None:
        while True:
            await trio.sleep(FLUSH_PERIOD_S)
            await self._flush()

    async def close(self) -> None:
        with trio.CancelScope(shield=True):
            await self._flush()
            await trio.to_thread.run_sync(self._file.close)

    def _put(self, line: bytes) -> None:
        self.left_out += len(self._lines) == LINE_LIMIT
        self._lines.append(line)

    async def _flush(self) -> None:
        if self._lines:
            block = b"".join(line + b"\n" for line in self._lines)
            self._lines.clear()
            await trio.to_thread.run_sync(self._file.write, block)
