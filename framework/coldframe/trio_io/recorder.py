"""The recorder: what the market links bring, written as it came, in the format that the embedded venue plays.

Lines gather in memory and are written by one task in a thread, so that a slow disk holds up nothing; when they pile up beyond the
bound the oldest are left out and counted. A line that could not be read back is left out, too; a disk that fails ends the recording
and not the run. The file is gzip: readable with any tool.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import trio

from coldframe.data.recording_file import RecordingFile
from coldframe.errors import ConfigError
from coldframe.trio_io.error_text import reason_of
from coldframe.wire.frames import cut_envelope
from coldframe.wire.recording import snapshot_line, stream_line

FLUSH_PERIOD_S: Final = 0.5
#: So many lines, and bytes of lines, may wait to be written.
LINE_LIMIT: Final = 200_000
BYTE_LIMIT: Final = 256 * 1024 * 1024


class Recorder:
    """Writes one recording. `run` is its task; `close` writes what is left.

    `tell` gets a sentence for people when something is missing in the recording.
    """

    def __init__(
        self,
        path: Path,
        now_ns: Callable[[], int],
        tell: Callable[[str], None],
        *,
        flush_period_s: float = FLUSH_PERIOD_S,
        line_limit: int = LINE_LIMIT,
        byte_limit: int = BYTE_LIMIT,
    ) -> None:
        self._flush_period_s, self._line_limit, self._byte_limit = flush_period_s, line_limit, byte_limit
        self._path = path
        self._now_ns = now_ns
        self._tell = tell
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._failed = False
        self.left_out = 0
        try:
            self._file = RecordingFile(path)
        except OSError as error:
            raise ConfigError(f"the recording {path} cannot be written: {reason_of(error)}") from None

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
            await trio.sleep(self._flush_period_s)
            await self._flush()

    async def close(self) -> None:
        with trio.CancelScope(shield=True):
            await self._flush()
            await self._in_thread(self._close)
        if self.left_out:
            self._tell(f"{self.left_out} lines were left out of the recording {self._path}")

    def _put(self, line: bytes) -> None:
        if self._failed:
            self.left_out += 1
            return
        self._lines.append(line)
        self._size += len(line)
        while len(self._lines) > self._line_limit or self._size > self._byte_limit:
            self._size -= len(self._lines.popleft())
            self.left_out += 1

    async def _flush(self) -> None:
        if self._lines:
            lines = list(self._lines)
            self._lines.clear()
            self._size = 0
            self.left_out += len(lines) - await self._in_thread(self._write, lines)

    async def _in_thread(self, work: Callable[..., int], *args: object) -> int:
        """Returns how many lines were written."""
        try:
            return await trio.to_thread.run_sync(work, *args)
        except OSError as error:
            if not self._failed:
                self._tell(f"the recording {self._path} ends here: {reason_of(error)}")
            self._failed = True
            return 0

    def _write(self, lines: Sequence[bytes]) -> int:
        return self._file.write(lines)

    def _close(self) -> int:
        self._file.close()
        return 0
