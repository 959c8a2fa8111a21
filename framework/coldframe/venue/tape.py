"""Reading recordings: plain, gzip or zstd, one line at a time, and an honest word about a torn end.

A file that was cut (a killed recorder, an interrupted copy) ends in the middle of a line or of its compression: everything before
is given, and the tear is reported with its line number. A broken line anywhere else is an error.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Final, cast

import msgspec

from coldframe.compression import damage_errors, zstd_module
from coldframe.errors import ConfigError, DecodeError
from coldframe.wire.tape import TapeLine, parse_line

_CHUNK: Final = 1 << 18
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
#: Behind its first byte (0x50 to 0x5f): a frame that readers skip. pzstd and seekable files begin with one.
_ZSTD_SKIPPABLE: Final = b"\x2a\x4d\x18"


class TapeReading:
    """One pass over a recording. `line` is the number of the last line given, from 1; `tear` says, after the last one, what is
    wrong with the end of the file, in one sentence, or is None.

    Raises `ConfigError` when the file cannot be read, and for a broken line that is not the last.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.line = 0
        self.tear: str | None = None

    def __iter__(self) -> Iterator[TapeLine]:
        broken: DecodeError | None = None
        for raw in self._raw_lines():
            if broken is not None:
                raise ConfigError(f"{self.path}:{self.line}: not a line of a recording: {broken}")
            self.line += 1
            try:
                parsed = parse_line(raw)
            except DecodeError as error:
                broken = error
            else:
                yield parsed
        if broken is not None and (self.line == 1 or _is_whole(raw)):
            raise ConfigError(f"{self.path}:{self.line}: not a line of a recording: {broken}")
        if broken is not None:
            self.tear = f"{self.path}:{self.line}: the last line is torn and was left out"
            self.line -= 1

    def _raw_lines(self) -> Iterator[bytes]:
        rest = b""
        try:
            with _open(self.path) as file:
                # Not `read`: of a cut compression that gives nothing at all of the last chunk.
                while chunk := file.read1(_CHUNK):
                    *lines, rest = (rest + chunk).split(b"\n")
                    yield from (line for line in lines if line.strip())
        except EOFError:
            self.tear = f"{self.path}:{self.line + 1}: the compressed file was cut off here"
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        except damage_errors() as error:
            raise ConfigError(f"{self.path}:{self.line + 1}: the compressed file is damaged: {error}") from None
        if rest.strip():
            yield rest


def _is_whole(raw: bytes) -> bool:
    """Whether a line is JSON from its beginning to its end: nothing of it was cut off."""
    try:
        msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def read_tape(path: str | Path) -> TapeReading:
    """One pass over the recording at `path` (.jsonl, .jsonl.gz, .jsonl.zst)."""
    return TapeReading(path)


def _open(path: Path) -> BufferedIOBase:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(_GZIP):
        return gzip.open(path, "rb")
    if magic == _ZSTD or (magic[1:] == _ZSTD_SKIPPABLE and magic[0] >> 4 == 5):
        return cast("BufferedIOBase", zstd_module(path).open(path, "rb"))
    return path.open("rb")
