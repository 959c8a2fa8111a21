"""Bounds of a journal: rows before its last checkpoint move into an archived segment, and the oldest segments are deleted.

A rotation is three steps, each of which leaves a valid journal wherever it stops:

1. The rows go into a segment, each proved on the way; it gets its name when all of them are on the disk. Until then they stand
   in the live file only, and from then on in both, where the live file counts.
2. One small transaction says that the live file begins with the checkpoint. From then on the segment counts.
3. The rows are deleted from the live file, a few at a time, so that what has to be written meanwhile hardly waits.

A restart reads from the last checkpoint on, which holds every order that is open, doubted or owes fills, and every mark: nothing
that a rotation moves or deletes is read by a run.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import attrs

from coldframe.errors import JournalDamaged, JournalUnwritable
from coldframe.trio_io.journal_segments import (
    SEGMENT_FORMAT,
    Segment,
    SegmentHead,
    SegmentWriter,
    remove,
    remove_parts,
    segments_of,
)
from coldframe.trio_io.journalfile import Head, JournalFile

#: So many rows are moved or deleted at once.
_ROWS: Final = 500
_DAY_NS: Final = 86_400_000_000_000
_MB: Final = 1_000_000


@attrs.frozen
class Retention:
    """How much of a journal is kept: the live file up to a size, its archive up to a size and an age (0 days: any age)."""

    rotate_mb: int = 64
    archive_mb: int = 2_000
    archive_days: int = 0


def rotation_due(file: JournalFile, retention: Retention) -> bool:
    """Whether the live file is larger than it shall be, and a checkpoint has come since it began. Raises `JournalUnwritable`."""
    head = file.head
    return head.checkpoint > head.first and file.used_bytes > retention.rotate_mb * _MB


def kept_bounded(file: JournalFile, retention: Retention, now_ns: int) -> Generator[str, None, None]:
    """Rotates if that is due and deletes what is beyond the bounds, one small step each time it is asked for more.

    A step gives a line for the log, or an empty text. A caller that stops in between leaves a valid journal; the next call goes on.
    Raises `JournalUnwritable` when the disk refuses, `JournalDamaged` before anything that is not what was written is moved.
    """
    try:
        yield from _tidied(file)
        if rotation_due(file, retention):
            yield from _rotated(file, retention)
        yield from _archive_bounded(file.path, retention, now_ns)
    except OSError as error:
        raise JournalUnwritable(f"{file.path}: its archive cannot be written: {error.strerror}") from None


def pruned(file: JournalFile, until_ns: int) -> Iterator[str]:
    """Deletes for good what is older than a moment, as far as whole segments and checkpoints allow; in steps, as `kept_bounded`.

    Raises `JournalUnwritable` when the disk refuses, `JournalDamaged` before anything that is not what was written is deleted.
    """
    try:
        yield from _tidied(file)
        first = file.checkpoint_until(until_ns)
        for segment in segments_of(file.path):
            if not first and segment.head().until_ns > until_ns:
                return
            remove(segment)
            yield ""
        if first:
            yield from _begun_with(file, first, keep=False)
    except OSError as error:
        raise JournalUnwritable(f"{file.path}: its archive cannot be pruned: {error.strerror}") from None


def _tidied(file: JournalFile) -> Iterator[str]:
    """Finishes what an earlier rotation has begun. Raises `OSError`, `JournalUnwritable` or `JournalDamaged`."""
    remove_parts(file.path)
    head = file.head
    for segment in segments_of(file.path):
        if segment.last >= head.first:
            _check_held(file, segment, head)
            remove(segment)
            yield ""
    yield from _swept(file)


def _swept(file: JournalFile) -> Iterator[str]:
    """Deletes the rows that stand before the first one. Raises `JournalUnwritable`."""
    while file.sweep(_ROWS):
        yield ""


def _check_held(file: JournalFile, segment: Segment, head: Head) -> None:
    """A segment whose rows the live file holds itself may go; any other one tells of rows that the live file has lost."""
    if segment.last <= head.seq and file.hash_of(segment.last).hex() == segment.head().after:
        return
    raise JournalDamaged(
        f"{segment.path}: the archive knows rows up to {segment.last}, which are not those of {file.path}:"
        " the journal is an older copy, or another one; put the newest back, or move the archive elsewhere"
    )


def _rotated(file: JournalFile, retention: Retention) -> Iterator[str]:
    head = file.head
    keep = retention.archive_mb > 0
    if not keep:  # before the cut: what is left must hang together
        for segment in segments_of(file.path):
            remove(segment)
            yield ""
    yield from _begun_with(file, head.checkpoint, keep=keep)
    where = "moved to the archive" if keep else "deleted, [journal] archive_mb is 0"
    yield f"journal {file.path}: rows {head.first} to {head.checkpoint - 1} were {where}; it begins with a checkpoint now"


def _begun_with(file: JournalFile, first: int, *, keep: bool) -> Iterator[str]:
    """Lets the live file begin with row `first`, a checkpoint; the rows before it go into a segment if they shall be kept."""
    before = yield from _moved(file, first, keep=keep)
    file.cut(first, before)
    yield ""
    yield from _swept(file)


def _moved(file: JournalFile, end: int, *, keep: bool) -> Generator[str, None, bytes]:
    """Proves the rows before number `end`, and writes them into a segment if they shall be kept. Returns the last one's hash."""
    head, (last,) = file.head, file.portion(end - 1, end)
    told = SegmentHead(SEGMENT_FORMAT, head.first, end - 1, last[1], head.before.hex(), last[5].hex())
    writer = SegmentWriter(file.path, told) if keep else None
    try:
        for first in range(head.first, end, _ROWS):
            rows = file.portion(first, min(first + _ROWS, end))
            if writer is not None:
                writer.write(rows)
            yield ""
        if writer is not None:
            writer.finish()
            yield ""
    finally:
        if writer is not None:
            writer.close()
    return last[5]


def _archive_bounded(path: Path, retention: Retention, now_ns: int) -> Iterator[str]:
    """Deletes the oldest segments while there are too many of them, or they are too old."""
    segments = segments_of(path)
    sizes = [segment.path.stat().st_size for segment in segments]
    oldest_ns = now_ns - retention.archive_days * _DAY_NS if retention.archive_days else 0
    for number, segment in enumerate(segments):
        large = sum(sizes[number:]) > retention.archive_mb * _MB
        if not large and (not oldest_ns or segment.head().until_ns >= oldest_ns):
            return
        remove(segment)
        why = f"archive_mb is {retention.archive_mb}" if large else f"archive_days is {retention.archive_days}"
        yield f"journal {path}: rows {segment.first} to {segment.last} were deleted from the archive, [journal] {why}"
