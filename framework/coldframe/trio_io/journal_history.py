"""Everything that is there to read of a journal: its archived segments, and the live file behind them, as one proved chain."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from coldframe.errors import JournalDamaged
from coldframe.model.journal import Row
from coldframe.trio_io.journal_chain import LARGEST_ROW, row_of
from coldframe.trio_io.journal_segments import Segment, archive_of, segment_at, segments_of
from coldframe.trio_io.journalfile import Head, opened_for_reading, rows_from


@attrs.frozen
class JournalHistory:
    """What there is of a journal: rows `first` to `last`, the older ones in segments; `before` is the hash of the row before."""

    path: Path
    first: int
    last: int
    before: bytes
    segments: list[Segment]
    _live: tuple[sqlite3.Connection, Head] | None

    def rows(self, first: int = 1) -> Iterator[Row]:
        """The rows from number `first` on, as far as they are there, each proved. Raises `JournalDamaged`."""
        after = None
        for segment in self.segments:
            if segment.last >= first:
                _check_joint(segment, after)
                for cells in segment.rows():
                    after = cells[5]
                    if cells[0] >= first:
                        yield row_of(segment.path, cells)
        if self._live is not None:
            db, head = self._live
            if after is not None and after != head.before:
                raise JournalDamaged(f"{self.path}: its row {head.first} does not follow the last one of {self.segments[-1].path}")
            yield from rows_from(db, self.path, head, max(first, head.first))


@contextmanager
def open_history(path: Path, largest_row: int = LARGEST_ROW) -> Iterator[JournalHistory]:
    """A journal, also while a bot writes to it; or one segment of an archive, if that is what the path names.

    Raises `JournalUnwritable` when it cannot be opened, `JournalDamaged` when rows in the midst of it are missing.
    """
    segment = segment_at(path)
    if segment is not None:
        yield JournalHistory(path, segment.first, segment.last, bytes.fromhex(segment.head().before), [segment], None)
        return
    with opened_for_reading(path, largest_row) as (db, head):
        # A segment that reaches into the live file was not finished being moved: its rows are still here.
        segments = [segment for segment in segments_of(path) if segment.last < head.first]
        _check_gaps(path, segments, head.first)
        before = bytes.fromhex(segments[0].head().before) if segments else head.before
        yield JournalHistory(path, segments[0].first if segments else head.first, head.seq, before, segments, (db, head))


def read_rows(path: Path, first: int = 1, largest_row: int = LARGEST_ROW) -> Iterator[Row]:
    """The rows of a journal and its archive from number `first` on, proved one by one, also while a bot writes to it.

    Raises `JournalUnwritable` when it cannot be opened, `JournalDamaged` at the first row that is not what was written.
    """
    with open_history(path, largest_row) as history:
        yield from history.rows(first)


def _check_joint(segment: Segment, after: bytes | None) -> None:
    if after is not None and segment.head().before != after.hex():
        raise JournalDamaged(f"{segment.path}: its first row does not follow the last one of the segment before it")


def _check_gaps(path: Path, segments: list[Segment], live: int) -> None:
    firsts = [*(segment.first for segment in segments), live]
    for segment, following in zip(segments, firsts[1:], strict=True):
        if segment.last + 1 != following:
            raise JournalDamaged(
                f"{archive_of(path)}: rows {segment.last + 1} to {following - 1} are missing; put their segment back,"
                " or move the older ones elsewhere"
            )
