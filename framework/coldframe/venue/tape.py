"""Reading recordings: plain, gzip or zstd, one line at a time, and an honest word about a torn end.

A file that was cut (a killed recorder, an interrupted copy) ends in the middle of a line or of its compression: everything before
is given, and the tear is reported with its line number. A broken line anywhere else is an error.
"""

from __future__ import annotations

import gzip
import importlib
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Final, cast

from coldframe.errors import ConfigError, DecodeError
from coldframe.wire.tape import TapeLine, parse_line

_CHUNK: Final = 1 << 18
#: Modules that read zstd: the standard one of Python 3.14, and its backport.
_ZSTD: Final = ("compression.zstd", "backports.zstd")


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
        except zlib.error as error:
            raise ConfigError(f"{self.path}:{self.line + 1}: the compressed file is damaged: {error}") from None
        if rest.strip():
            yield rest


def read_tape(path: str | Path) -> TapeReading:
    """One pass over the recording at `path` (.jsonl, .jsonl.gz, .jsonl.zst)."""
    return TapeReading(path)


def _open(path: Path) -> BufferedIOBase:
    match path.suffix:
        case ".gz":
            return gzip.open(path, "rb")
        case ".zst":
            return cast("BufferedIOBase", _zstd(path).open(path, "rb"))
        case _:
            return path.open("rb")


def _zstd(path: Path) -> Any:
    for name in _ZSTD:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ConfigError(f"{path}: zstd recordings need Python 3.14 or the package backports.zstd")
