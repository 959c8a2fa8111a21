"""Reading files of lines, one line at a time: plain, gzip, zstd or the one file in a zip, and an honest word about a torn end.

A file that was cut (a killed writer, an interrupted copy) ends in the middle of a line or of its compression: everything before is
given, and the tear is reported with its line number.
"""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Generator
from contextlib import closing
from io import BufferedIOBase
from pathlib import Path
from typing import Final, cast

import attrs

from coldframe.compression import damage_errors, zstd_module
from coldframe.errors import ConfigError
from coldframe.wire.recording import LONGEST_LINE

_GZIP: Final = b"\x1f\x8b"
#: What gzip says of a file whose next member was cut after its first byte.
_ONE_BYTE_LEFT: Final = repr(_GZIP[:1])
_ZIP: Final = b"PK\x03\x04"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
#: Behind its first byte (0x50 to 0x5f): a frame that readers skip. pzstd and seekable files begin with one.
_ZSTD_SKIPPABLE: Final = b"\x2a\x4d\x18"
#: The lines may be so much longer than their file, plus `always_allowed`: no packing of real payloads is better than 1 to 250.
_BEST_PACKING: Final = 250


@attrs.frozen
class LineBounds:
    """How much is read at once, how long a line may be, and how much may come out of even the smallest file (bytes)."""

    chunk: int = 1 << 18
    longest_line: int = LONGEST_LINE
    always_allowed: int = 1 << 28


USUAL_BOUNDS: Final = LineBounds()


class LineReader:
    """One pass over the lines of a file, empty ones left out.

    `at` is the number of the last line given, from 1; `tear` says, after the last one, what is wrong with the end of the
    compression, in one sentence, or is None. `kind` is what the file should be, for messages. Raises `ConfigError` when the file
    cannot be read, and for what is too long to be such a file. Holds one line at a time, and takes time in proportion to the file.
    """

    def __init__(self, path: str | Path, kind: str, bounds: LineBounds = USUAL_BOUNDS) -> None:
        self.path = Path(path)
        self.at = 0
        self.tear: str | None = None
        self._kind = kind
        self._bounds = bounds

    def __iter__(self) -> Generator[bytes, None, None]:
        with closing(self._raw()) as lines:
            for raw in lines:
                self.at += 1
                if raw and not raw.isspace():
                    yield raw

    def error(self, text: str) -> ConfigError:
        """An error about the line that was given last."""
        return ConfigError(f"{self.path}:{max(self.at, 1)}: {text}")

    def _raw(self) -> Generator[bytes, None, None]:
        parts: list[bytes] = []
        held = total = 0
        bounds = self._bounds
        try:
            with _open(self.path) as file:
                most = bounds.always_allowed + _BEST_PACKING * self.path.stat().st_size
                # Not `read`: of a cut compression that gives nothing at all of the last chunk.
                while chunk := file.read1(bounds.chunk):
                    total += len(chunk)
                    if total > most:
                        raise self.error(f"more than {most} bytes come out of this file, which no {self._kind} has")
                    first, *others = chunk.split(b"\n")
                    parts.append(first)
                    held += len(first)
                    if others:
                        yield b"".join(parts)
                        yield from others[:-1]
                        parts, held = others[-1:], len(others[-1])
                    if held > bounds.longest_line:
                        raise self.error(f"a line of more than {bounds.longest_line} bytes, which no {self._kind} has")
        except gzip.BadGzipFile as error:
            if _ONE_BYTE_LEFT not in str(error):
                raise self.error(f"the compressed file is damaged: {error}") from None
            self.tear = f"{self.path}:{self.at + 1}: the compressed file was cut off here"
        except EOFError:
            self.tear = f"{self.path}:{self.at + 1}: the compressed file was cut off here"
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        except zipfile.BadZipFile as error:
            raise self.error(f"the zip is damaged: {error}") from None
        except damage_errors() as error:
            raise self.error(f"the compressed file is damaged: {error}") from None
        yield b"".join(parts)


def _open(path: Path) -> BufferedIOBase:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(_GZIP):
        return gzip.open(path, "rb")
    if magic == _ZSTD or (magic[1:] == _ZSTD_SKIPPABLE and magic[0] >> 4 == 5):
        return cast("BufferedIOBase", zstd_module(path).open(path, "rb"))
    if magic == _ZIP:
        return _OnlyMember(path)
    return path.open("rb")


class _OnlyMember(BufferedIOBase):
    """The one file in a zip. Raises `ConfigError` when there are several: the name of the zip says nothing about which is meant."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        members = [member for member in self._zip.infolist() if not member.is_dir()]
        if len(members) != 1:
            self._zip.close()
            raise ConfigError(f"{path}: {len(members)} files in it; a zip with one is read")
        if members[0].flag_bits & 1 or members[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            self._zip.close()
            raise ConfigError(f"{path}: encrypted, or packed by another method than deflate; unpack it first")
        self._file = cast("zipfile.ZipExtFile", self._zip.open(members[0]))

    def read1(self, size: int = -1, /) -> bytes:
        return self._file.read1(size)

    def close(self) -> None:
        self._file.close()
        self._zip.close()
        super().close()
