"""The archive of a journal: rows that have left the live file, in compressed segments beside it.

A segment is a gzip file of JSON lines. The first line says which rows follow and how they hang in the chain; each other line is a
row as in the live file: number, time, kind, reference, body, hash. Segments are written once and never changed. What a restart
needs is never in one. The format is described in `docs/journal.md`.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from coldframe.errors import JournalDamaged
from coldframe.os_specific import BINARY, settle_folder
from coldframe.trio_io.journal_chain import LARGEST_ROW, Cells, proved

SEGMENT_FORMAT: Final = 1
_NAME: Final = re.compile(r"(\d{12})-(\d{12})\.jsonl\.gz", re.ASCII)
_PART: Final = ".part"
_LEVEL: Final = 6


class SegmentHead(msgspec.Struct, frozen=True):
    """The first line of a segment. `before` is the hash of the row before the first one, `after` of the last one, in hex."""

    format: int
    first: int
    last: int
    #: Our time of the last row.
    until_ns: int
    before: str
    after: str


@attrs.frozen(order=True)
class Segment:
    """A segment: the rows that its name promises."""

    first: int
    last: int
    path: Path

    def head(self) -> SegmentHead:
        """Its first line. Raises `JournalDamaged`."""
        with _reading(self) as (head, _):
            return head

    def rows(self) -> Iterator[Cells]:
        """Its rows, each proved, and that all of them are there. Raises `JournalDamaged`."""
        with _reading(self) as (head, lines):
            seq, after = self.first - 1, head.before
            for cells in proved(self.path, lines, self.first, bytes.fromhex(head.before)):
                seq, after = cells[0], cells[5].hex()
                yield cells
            if (seq, after) != (head.last, head.after):
                raise JournalDamaged(f"{self.path}: it ends with row {seq}, and its first line promises row {head.last}")


def archive_of(journal: Path) -> Path:
    """The folder of a journal's segments; it need not exist yet."""
    return journal.with_name(journal.name + ".archive")


def segments_of(journal: Path) -> list[Segment]:
    """The segments of a journal, oldest first; nothing in them has been read."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(found for path in archive_of(journal).iterdir() if (found := segment_at(path)))
    return []


def segment_at(path: Path) -> Segment | None:
    """The segment that a path names; None when it does not name one."""
    match = _NAME.fullmatch(path.name)
    return Segment(int(match[1]), int(match[2]), path) if match else None


def remove(segment: Segment) -> None:
    """Deletes a segment for good. Raises `OSError`."""
    segment.path.unlink(missing_ok=True)
    settle_folder(segment.path.parent)


def remove_parts(journal: Path) -> None:
    """Deletes what an archiving has left that did not come to its end. Raises `OSError`."""
    for path in archive_of(journal).glob(f"*{_PART}"):
        path.unlink(missing_ok=True)


class SegmentWriter:
    """A segment in the making: it gets its name when all its rows are on the disk. Raises `OSError`."""

    def __init__(self, journal: Path, head: SegmentHead) -> None:
        folder = archive_of(journal)
        folder.mkdir(mode=0o700, exist_ok=True)
        self._target = folder / f"{head.first:012}-{head.last:012}.jsonl.gz"
        self._part = self._target.with_name(self._target.name + _PART)
        handle = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, 0o600)
        self._raw = os.fdopen(handle, "wb")
        self._gzip = gzip.GzipFile("", "wb", _LEVEL, self._raw, mtime=0)
        self._gzip.write(msgspec.json.encode(head) + b"\n")

    def write(self, rows: list[Cells]) -> None:
        """Takes rows over; they need not be on the disk yet."""
        self._gzip.write(b"".join(_line(cells) for cells in rows))

    def finish(self) -> None:
        """When it returns, the segment stands on the disk under its name."""
        self._gzip.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()
        os.replace(self._part, self._target)
        settle_folder(self._target.parent)

    def close(self) -> None:
        """Gives up what was not finished."""
        with contextlib.suppress(OSError):
            self._gzip.close()
        self._raw.close()
        self._part.unlink(missing_ok=True)


def _line(cells: Cells) -> bytes:
    seq, at_ns, kind, ref, text, proof = cells
    return msgspec.json.encode((seq, at_ns, kind, ref, msgspec.Raw(text.encode()), proof.hex())) + b"\n"


_DECODER: Final = msgspec.json.Decoder(tuple[int, int, str, str, msgspec.Raw, str])


@contextlib.contextmanager
def _reading(segment: Segment) -> Iterator[tuple[SegmentHead, Iterator[tuple[Any, ...]]]]:
    """Its first line, and the rows behind it as they come. Raises `JournalDamaged` for a first line that does not fit its name."""
    try:
        raw = segment.path.open("rb")
    except OSError as error:
        raise JournalDamaged(f"{segment.path}: it cannot be read: {error.strerror}") from None
    with raw, gzip.GzipFile(fileobj=raw) as file:
        try:
            head = msgspec.json.decode(file.readline(LARGEST_ROW), type=SegmentHead)
            bytes.fromhex(head.before)
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise JournalDamaged(f"{segment.path}: its first line cannot be read: {error}") from None
        if (head.format, head.first, head.last) != (SEGMENT_FORMAT, segment.first, segment.last):
            raise JournalDamaged(f"{segment.path}: its first line does not fit its name")
        yield head, _rows(file)


def _rows(file: gzip.GzipFile) -> Iterator[tuple[Any, ...]]:
    while line := file.readline(LARGEST_ROW):
        seq, at_ns, kind, ref, text, proof = _DECODER.decode(line)
        yield seq, at_ns, kind, ref, bytes(text).decode(), bytes.fromhex(proof)
