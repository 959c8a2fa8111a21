"""`coldframe recording columns`: a file of others as columns, and what was wrong with it; or what a file of columns holds."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from coldframe.data.archive.days import Coverage, coverage, files_below
from coldframe.data.archive.labels import MetricsLabels
from coldframe.data.archive.names import archive_name
from coldframe.data.archive.reader import ArchiveFile, archive_source
from coldframe.data.arranging import DataSource
from coldframe.data.columns import SUFFIX, Columns, Described, is_columns, open_columns
from coldframe.data.hftbacktest import SUFFIX as HFTBACKTEST
from coldframe.data.hftbacktest import hftbacktest_source
from coldframe.data.hftbacktest_export import write_hftbacktest
from coldframe.data.market import is_recording, recording_source
from coldframe.data.numbers import utc_text
from coldframe.data.parquet import SUFFIX as PARQUET
from coldframe.data.parquet import ParquetColumns, write_parquet
from coldframe.data.sources import columns_of, write_columns
from coldframe.data.tardis import tardis_name, tardis_source
from coldframe.errors import ConfigError, UsageError
from coldframe.units import NS_PER_MS

Out = Callable[[object, Sequence[str]], None]

_TARDIS: Final = "tardis/"
_RULES: Final = {
    "disorder": "rows out of order, sorted",
    "duplicate": "rows that stand there twice, dropped",
    "conflict": "rows of a key that has other values already, dropped",
    "hole": "rows missing",
    "time": "rows whose time goes back",
    "left out": "that no row holds, left out",
    "torn": "line at the end that was cut, left out",
}


def make_columns(args: argparse.Namespace, out: Out) -> int:
    """Makes columns of `args.file`, or checks and describes them where it holds columns already."""
    path: Path = args.file
    if path.is_dir():
        return _columns_of_folder(path, args, out)
    if path.suffix == PARQUET:
        with ParquetColumns(path) as packed:
            out(_document(packed), _lines(packed))
        return 0
    form = args.to.suffix if args.to is not None else ""
    if args.decimals and form != PARQUET:
        raise UsageError("--decimals writes Parquet: give --to a file that ends in .parquet")
    with _columns(path, args, form) as columns:
        if form == PARQUET:
            write_parquet(columns, args.to, decimals=args.decimals)
        elif form == HFTBACKTEST:
            write_hftbacktest(columns, args.to, args.symbol)
        out(_document(columns), _lines(columns))
    return 0


def _columns(path: Path, args: argparse.Namespace, form: str) -> Columns:
    """The columns in a file, or those of a file of others, made or taken as they are."""
    if is_columns(path):
        columns = open_columns(path)
        columns.verify()
        return columns
    if form in (PARQUET, HFTBACKTEST):
        return columns_of(_source(path, args))
    return write_columns(_source(path, args), args.to or path.with_name(path.name + SUFFIX))


def _columns_of_folder(folder: Path, args: argparse.Namespace, out: Out) -> int:
    """Makes columns of every file of the archive in a folder, beside it, and says which days are missing."""
    found = coverage(files_below(folder))
    if not found:
        raise ConfigError(f"{folder}: no file in it is named as the exchange's archive names its files")
    documents, lines = [], []
    for series in found:
        for path in series.files:
            with write_columns(_source(path, args), path.with_name(path.name + SUFFIX)) as columns:
                documents.append(_document(columns))
                lines += _lines(columns)
    gaps = [_gap(series) for series in found if series.missing or series.extra]
    covered = {"schema_version": 1, "verb": "recording columns", "files": documents, "missing": gaps}
    out(covered, [*lines, *(line for gap in gaps for line in _gap_lines(gap))])
    return 0


def _gap(series: Coverage) -> dict[str, Any]:
    return {
        "series": " ".join(filter(None, (series.symbol, series.data_set, series.interval))),
        "missing": [[str(first), str(last)] for first, last in series.missing],
        "extra": [str(path) for path in series.extra],
    }


def _gap_lines(gap: dict[str, Any]) -> list[str]:
    missing = [f"{gap['series']}: no file for {first}" + (f" to {last}" if last != first else "") for first, last in gap["missing"]]
    return missing + [f"{path}: left out, its days stand in another file" for path in gap["extra"]]


def _source(path: Path, args: argparse.Namespace) -> DataSource:
    """What a file is: said by `--as`, or else by its name and its first byte."""
    asked = str(args.data_set)
    if asked.startswith(_TARDIS) or (not asked and tardis_name(path) is not None):
        return tardis_source(path, asked.removeprefix(_TARDIS), args.symbol)
    if asked == "hftbacktest" or (not asked and path.suffix == HFTBACKTEST):
        return hftbacktest_source(path, args.symbol)
    if asked == "recording" or (not asked and archive_name(path) is None and is_recording(path)):
        return recording_source(path)
    said = ArchiveFile(asked, args.symbol, args.interval, MetricsLabels(args.metrics_labels))
    return archive_source(path, said)


def _span_ms(columns: Described) -> tuple[int, int] | None:
    """The times of the first and the last row, by the first column that is a time."""
    timed = [at for at, name in enumerate(columns.names) if name.endswith(("_ms", "_ns"))]
    if not timed or not len(columns):
        return None
    per_ms = NS_PER_MS if columns.names[timed[0]].endswith("_ns") else 1
    *_, last = columns.blocks()
    return next(columns.rows())[timed[0]] // per_ms, last[timed[0]][-1] // per_ms


def _document(columns: Described) -> dict[str, Any]:
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


def _lines(columns: Described) -> list[str]:
    span = _span_ms(columns)
    between = f", {utc_text(span[0])} to {utc_text(span[1])} UTC" if span else ""
    what = " ".join(
        filter(None, (columns.labels.get("symbol") or columns.labels.get("symbols"), columns.table, columns.labels.get("interval")))
    )
    lines = [f"{columns.path}: {what}, {len(columns)} rows{between}"]
    lines += [f"  {told.count} {_RULES[told.rule]}: {told.text}" for told in columns.told]
    return lines
