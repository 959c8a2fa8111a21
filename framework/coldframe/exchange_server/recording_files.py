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

from coldframe.compression import damage_errors, zstd_module
from coldframe.errors import ConfigError, DecodeError
from coldframe.wire.strict import loosely
from coldframe.wire.tape import LONGEST_LINE, TapeLine, parse_line

_CHUNK: Final = 1 << 18
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
#: Behind its first byte (0x50 to 0x5f): a frame that readers skip. pzstd and seekable files begin with one.
_ZSTD_SKIPPABLE: Final = b"\x2a\x4d\x18"
#: A recording may be so much longer than its file, plus this many bytes: no packing of real payloads is better than 1 to 250.
_BEST_PACKING: Final = 250
_ALWAYS_ALLOWED: Final = 1 << 28
#: So many different streams and snapshots may be on one recording; the exchange has a fifth of them.
_MOST_NAMES: Final = 50_000


class RecordingReading:
    """One pass over a recording. `line` is the number of the last line given, from 1, and `count` how many were given; `tear` says,
    after the last one, what is wrong with the end of the file, in one sentence, or is None.

    Raises `ConfigError` when the file cannot be read, for a broken line that is not the last, and for what is too long to be a
    recording. Holds one line at a time, and takes time in proportion to the file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.line = 0
        self.count = 0
        self.tear: str | None = None
        self._at = 0
        self._names: set[str] = set()

    def __iter__(self) -> Iterator[TapeLine]:
        broken: ConfigError | None = None
        for raw in self._raw_lines():
            self._at += 1
            if not raw or raw.isspace():
                continue
            if broken is not None:
                raise broken
            try:
                parsed = parse_line(raw)
            except DecodeError as error:
                broken, last = self._error(f"not a line of a recording: {error}"), raw
                continue
            self._know(parsed)
            self.line, self.count = self._at, self.count + 1
            yield parsed
        if broken is not None:
            if not self.count or _is_whole(last):
                raise broken
            self.tear = f"{self.path}:{self._at}: the last line is torn and was left out"

    def _raw_lines(self) -> Iterator[bytes]:
        """The lines of the file, empty ones too."""
        parts: list[bytes] = []
        held = total = 0
        try:
            with _open(self.path) as file:
                most = _ALWAYS_ALLOWED + _BEST_PACKING * self.path.stat().st_size
                # Not `read`: of a cut compression that gives nothing at all of the last chunk.
                while chunk := file.read1(_CHUNK):
                    total += len(chunk)
                    if total > most:
                        raise self._error(f"more than {most} bytes come out of this file, which no recording has")
                    first, *others = chunk.split(b"\n")
                    parts.append(first)
                    held += len(first)
                    if others:
                        yield b"".join(parts)
                        yield from others[:-1]
                        parts, held = others[-1:], len(others[-1])
                    if held > LONGEST_LINE:
                        raise self._error(f"a line of more than {LONGEST_LINE} bytes, which no recording has")
        except EOFError:
            self.tear = f"{self.path}:{self._at + 1}: the compressed file was cut off here"
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        except damage_errors() as error:
            raise self._error(f"the compressed file is damaged: {error}") from None
        yield b"".join(parts)

    def _know(self, line: TapeLine) -> None:
        self._names.add(str(line.stream if isinstance(line.stream, str) else line.snapshot))
        if len(self._names) > _MOST_NAMES:
            raise self._error(f"more than {_MOST_NAMES} different streams, which no recording has")

    def _error(self, text: str) -> ConfigError:
        return ConfigError(f"{self.path}:{max(self._at, 1)}: {text}")


def _is_whole(raw: bytes) -> bool:
    """Whether a line is JSON from its beginning to its end: nothing of it was cut off."""
    try:
        loosely(raw)
    except DecodeError:
        return False
    return True


def read_tape(path: str | Path) -> RecordingReading:
    """One pass over the recording at `path` (.jsonl, .jsonl.gz, .jsonl.zst)."""
    return RecordingReading(path)


def _open(path: Path) -> BufferedIOBase:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(_GZIP):
        return gzip.open(path, "rb")
    if magic == _ZSTD or (magic[1:] == _ZSTD_SKIPPABLE and magic[0] >> 4 == 5):
        return cast("BufferedIOBase", zstd_module(path).open(path, "rb"))
    return path.open("rb")
