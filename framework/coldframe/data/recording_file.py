"""Writing a recording: one line for each payload and snapshot, compressed as the name of the file says."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Literal, cast

from coldframe.compression import zstd_module
from coldframe.errors import ConfigError, DecodeError
from coldframe.wire.frames import cut_envelope
from coldframe.wire.recording import parse_line, stream_line


class RecordingFile:
    """A recording that is being written.

    Raises `ConfigError` when the file is there already, `OSError` when it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._empty = path, True
        try:
            self._file = _opened(path)
        except FileExistsError:
            raise ConfigError(f"the recording {path} exists already: name another file, or move that one away") from None

    def write(self, lines: Iterable[bytes]) -> int:
        """Writes those lines that can be read back. Returns how many these are."""
        # A newline inside a readable line can only be white space of JSON.
        readable = [line.replace(b"\n", b" ") for line in lines if _is_readable(line)]
        self._file.write(b"".join(line + b"\n" for line in readable))
        self._empty = self._empty and not readable
        return len(readable)

    def close(self) -> None:
        """Closes the file; one in which nothing stands goes, so that the next run may take its name."""
        self._file.close()
        if self._empty and self._path.is_file():
            self._path.unlink()


def line_of_frame(at_ns: int, frame: bytes) -> bytes | None:
    """The line of a frame of a market link; None for anything but a payload."""
    cut = cut_envelope(frame)
    return None if cut is None else stream_line(at_ns, *cut)


def _opened(path: Path) -> BinaryIO:
    """A new file, compressed as its name says: `.zst` by zstd, everything else by gzip. Raises `FileExistsError`.

    A device or a pipe is written as it is: nothing in it can be lost.
    """
    mode: Literal["wb", "xb"] = "wb" if path.exists() and not path.is_file() else "xb"
    if path.suffix == ".zst":
        return cast("BinaryIO", zstd_module(path).open(path, mode))
    return cast("BinaryIO", gzip.open(path, mode, compresslevel=6))


def _is_readable(line: bytes) -> bool:
    try:
        parse_line(line)
    except DecodeError:
        return False
    return True
