"""Rows of a file, as they come, made into columns: in order, each once, with what was wrong told.

The rows are written as they come. If they came in order, that was all; if not, they are sorted on the disk: blocks are sorted in
memory, and merged. Memory is bounded by `BLOCK_ROWS` and `_MERGED_ROWS` rows, whatever the size of the file; a sort needs room for
the rows twice more among the temporary files.

What a table says of itself (`Table`) decides what is wrong in it, and what is done: the rules stand in docs/data.md.
"""

from __future__ import annotations

import heapq
import struct
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from operator import itemgetter, lt, sub
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

import attrs

from coldframe.data.columns import BLOCK_ROWS, Column, Columns, ColumnsWriter, Finding, Row, SourceFile

#: Rows that a merge holds, of all the blocks it merges together.
_MERGED_ROWS: Final = 1 << 18


class Repeats(StrEnum):
    """What is done about a row that has the same key as another."""

    #: The key names the row: the first in the file stays, the others are dropped.
    DROP_SAME_KEY = "drop same key"
    #: Several rows may have the same key: those that are equal in every column are dropped.
    DROP_EQUAL = "drop equal"
    #: Equal rows may both be meant.
    KEEP = "keep"


@attrs.frozen
class Table:
    """What the rows of a file are: their columns, by which of them they are in order, and what may not happen."""

    name: str
    columns: tuple[Column, ...]
    #: The columns by which the rows are in order.
    key: tuple[str, ...]
    repeats: Repeats = Repeats.DROP_SAME_KEY
    #: The column that says when a row was so; it does not go back.
    time: str = ""
    #: By how much the first column of the key grows from row to row; 0 where that is not said.
    step: int = 0

    def at(self, *names: str) -> tuple[int, ...]:
        """Where columns stand in a row."""
        places = {column.name: at for at, column in enumerate(self.columns)}
        return tuple(places[name] for name in names)


@attrs.frozen
class DataSource:
    """A file, the table that its rows make, and its rows as they come. `labels` say what else is known of it.

    Reading the rows may add labels, and puts what it finds wrong in the file as a whole into `findings`.
    """

    path: Path
    table: Table
    rows: Callable[[], Generator[Row, None, None]]
    labels: Mapping[str, str]
    findings: Sequence[Finding] = ()


def arranged(rows: Iterable[Row], source: DataSource, *, into: IO[bytes], origin: SourceFile | None = None) -> None:
    """Writes the rows of a source as columns, with what was wrong with them in the footer."""
    table, path = source.table, source.path
    tally = _Tally(table)
    arrived, in_order = _as_they_come(rows, table, path, tally)
    with arrived:
        found = _chunks(arrived.rows() if in_order else _merged(arrived, table))
        kept = (chunk for chunk in map(tally.without_repeats, found) if chunk)
        writer = ColumnsWriter(into)
        for chunk in kept:
            tally.see_steps(chunk)
            writer.write(chunk)
        writer.finish(table.name, table.columns, source.labels, (*source.findings, *tally.told()), origin)


def _as_they_come(rows: Iterable[Row], table: Table, path: Path, tally: _Tally) -> tuple[Columns, bool]:
    with TemporaryFile() as file:
        writer = ColumnsWriter(file)
        for chunk in _chunks(rows):
            tally.came(chunk)
            writer.write(chunk)
        writer.finish(table.name, table.columns, {})
        return Columns(file, path), tally.in_order


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rows = iter(rows)
    while chunk := list(islice(rows, BLOCK_ROWS)):
        yield chunk


# -- sorting on the disk ------------------------------------------------------------------------------------------------


def _merged(arrived: Columns, table: Table) -> Iterator[Row]:
    """The rows in order of their key; rows of the same key in the order in which they came."""
    key: Any = itemgetter(*table.at(*table.key))
    form = struct.Struct(f"<{len(table.columns)}q")
    with TemporaryFile() as file:
        places = []
        for block in arrived.blocks():
            rows = sorted(zip(*block, strict=True), key=key)
            places.append((file.tell(), len(rows)))
            file.writelines(form.pack(*row) for row in rows)
        held = max(_MERGED_ROWS // len(places), 1)
        yield from heapq.merge(*(_run(file, form, start, count, held) for start, count in places), key=key)


def _run(file: IO[bytes], form: struct.Struct, start: int, count: int, held: int) -> Iterator[Row]:
    """The rows of a sorted block, `held` at a time."""
    for first in range(0, count, held):
        file.seek(start + first * form.size)
        yield from form.iter_unpack(file.read(min(held, count - first) * form.size))


# -- what is wrong ------------------------------------------------------------------------------------------------------


class _Tally:
    """Counts what is wrong with rows, and drops those that a rule drops. Sees each chunk once, in order."""

    def __init__(self, table: Table) -> None:
        self.in_order = True
        self._table = table
        self._key: Any = itemgetter(*table.at(*table.key))
        self._main = table.at(table.key[0])[0]
        self._time = table.at(table.time)[0] if table.time else None
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        self._came = 0
        self._last_came: Any = None
        #: The rows of the key that was seen last: what comes may repeat them.
        self._group: list[Row] = []
        self._last: Row | None = None

    def came(self, chunk: Sequence[Row]) -> None:
        """Looks whether rows come in order."""
        keys = list(map(self._key, chunk))
        if self._last_came is not None:
            keys.insert(0, self._last_came)
        if any(map(lt, keys[1:], keys)):
            self.in_order = False
            shift = len(keys) - len(chunk)
            for at in (at for at in range(1, len(keys)) if keys[at] < keys[at - 1]):
                self._tell(
                    "disorder",
                    chunk[at - shift],
                    "is row {} and comes after one that it should precede",
                    self._came + at - shift + 1,
                )
        self._last_came = keys[-1]
        self._came += len(chunk)

    def without_repeats(self, chunk: list[Row]) -> list[Row]:
        """The rows that stay. They are in order."""
        keys = list(map(self._key, chunk))
        fresh = not self._group or self._key(self._group[0]) < keys[0]
        if self._table.repeats is Repeats.KEEP or (fresh and all(map(lt, keys, keys[1:]))):
            self._group = chunk[-1:]
            return chunk
        return [row for row in chunk if self._stays(row)]

    def _stays(self, row: Row) -> bool:
        if not self._group or self._key(self._group[0]) != self._key(row):
            self._group = [row]
            return True
        if row in self._group:
            self._tell("duplicate", row, "stands there twice; it counts once")
            return False
        if self._table.repeats is Repeats.DROP_SAME_KEY:
            self._tell("conflict", row, "stands there again with other values; the first counts")
            return False
        self._group.append(row)
        return True

    def see_steps(self, chunk: Sequence[Row]) -> None:
        """Looks for holes, and for times that go back although the rows are in order."""
        rows = chunk if self._last is None else [self._last, *chunk]
        self._last = chunk[-1]
        if self._table.step:
            self._see_holes(rows)
        if self._time is not None:
            times = [row[self._time] for row in rows]
            if any(map(lt, times[1:], times)):
                for at in (at for at in range(1, len(times)) if times[at] < times[at - 1]):
                    self._tell("time", rows[at], "is {} earlier than the row before it", times[at - 1] - times[at])

    def _see_holes(self, rows: Sequence[Row]) -> None:
        values, step = [row[self._main] for row in rows], self._table.step
        if {*map(sub, values[1:], values)} <= {step}:
            return
        for at in range(1, len(values)):
            missing = (values[at] - values[at - 1] - 1) // step
            if missing > 0:
                self._tell("hole", rows[at], "comes after {} that are missing", missing, count=missing)

    def _tell(self, rule: str, row: Row, text: str, number: int = 0, count: int = 1) -> None:
        """Counts a case. Of each rule the first one is kept in words: there may be millions."""
        self._counts[rule] += count
        if rule not in self._first:
            places = zip(self._table.key, self._table.at(*self._table.key), strict=True)
            name = ", ".join(f"{column} {row[at]}" for column, at in places)
            self._first[rule] = f"{name} {text.format(number)}"

    def told(self) -> tuple[Finding, ...]:
        return tuple(Finding(rule, count, self._first[rule]) for rule, count in sorted(self._counts.items()))
