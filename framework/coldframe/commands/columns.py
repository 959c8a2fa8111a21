"""`coldframe recording columns`: a file of others as columns, and what was wrong with it; or what a file of columns holds."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from coldframe.data.archive.labels import MetricsLabels
from coldframe.data.archive.names import archive_name
from coldframe.data.archive.reader import ArchiveFile, archive_source
from coldframe.data.arranging import DataSource
from coldframe.data.columns import SUFFIX, Columns, is_columns, open_columns
from coldframe.data.market import is_recording, recording_source
from coldframe.data.numbers import utc_text
from coldframe.data.sources import write_columns
from coldframe.units import NS_PER_MS

Out = Callable[[object, Sequence[str]], None]

_RULES: Final = {
    "disorder": "rows out of order, sorted",
    "duplicate": "rows that stand there twice, dropped",
    "conflict": "rows of a key that has other values already, dropped",
    "hole": "rows missing",
    "time": "rows whose time goes back",
    "left out": "payloads that no row holds, left out",
    "torn": "line at the end that was cut, left out",
}


def make_columns(args: argparse.Namespace, out: Out) -> int:
    """Makes columns of `args.file`, or checks and describes them where it holds columns already."""
    path: Path = args.file
    if is_columns(path):
        columns = open_columns(path)
        columns.verify()
    else:
        columns = write_columns(_source(path, args), args.to or path.with_name(path.name + SUFFIX))
    with columns:
        out(_document(columns), _lines(columns))
    return 0


def _source(path: Path, args: argparse.Namespace) -> DataSource:
    """What a file is: said by `--as`, or else by its name and its first byte."""
    if args.data_set == "recording" or (not args.data_set and archive_name(path) is None and is_recording(path)):
        return recording_source(path)
    said = ArchiveFile(args.data_set, args.symbol, args.interval, MetricsLabels(args.metrics_labels))
    return archive_source(path, said)


def _span_ms(columns: Columns) -> tuple[int, int] | None:
    """The times of the first and the last row, by the first column that is a time."""
    timed = [at for at, name in enumerate(columns.names) if name.endswith(("_ms", "_ns"))]
    if not timed or not len(columns):
        return None
    per_ms = NS_PER_MS if columns.names[timed[0]].endswith("_ns") else 1
    *_, last = columns.blocks()
    return next(columns.rows())[timed[0]] // per_ms, last[timed[0]][-1] // per_ms


def _document(columns: Columns) -> dict[str, Any]:
    span = _span_ms(columns)
    return {
        "schema_version": 1,
        "verb": "recording columns",
        "file": str(columns.path),
        "table": columns.table,
        "labels": dict(columns.labels),
        "rows": len(columns),
        "columns": {column.name: column.digits for column in columns.footer.columns},
        "first_ms": span[0] if span else None,
        "last_ms": span[1] if span else None,
        "told": {told.rule: {"count": told.count, "first": told.text} for told in columns.told},
        "source_sha256": columns.footer.origin.sha256 if columns.footer.origin else None,
    }


def _lines(columns: Columns) -> list[str]:
    span = _span_ms(columns)
    between = f", {utc_text(span[0])} to {utc_text(span[1])} UTC" if span else ""
    what = " ".join(
        filter(None, (columns.labels.get("symbol") or columns.labels.get("symbols"), columns.table, columns.labels.get("interval")))
    )
    lines = [f"{columns.path}: {what}, {len(columns)} rows{between}"]
    lines += [f"  {told.count} {_RULES[told.rule]}: {told.text}" for told in columns.told]
    return lines
