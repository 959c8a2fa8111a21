"""A file of the archive as columns: what it is comes from its name, or from what the caller says."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import attrs

from coldframe.data.archive.datasets import DATA_SETS, DataSet
from coldframe.data.archive.labels import MetricsLabels, known_at_ms
from coldframe.data.archive.names import CANDLE_SETS, INTERVALS_MS, ArchiveName, archive_name
from coldframe.data.arranging import DataSource
from coldframe.data.delimited import DelimitedFile, Field
from coldframe.errors import ConfigError

_METRICS: Final = "metrics"


@attrs.frozen
class ArchiveFile:
    """What a file holds, where its name does not say so or says something else; and how the times of `metrics` are read."""

    data_set: str = ""
    symbol: str = ""
    interval: str = ""
    metrics_labels: MetricsLabels = MetricsLabels.BY_DATE


AS_NAMED: Final = ArchiveFile()


def archive_source(path: Path, said: ArchiveFile = AS_NAMED) -> DataSource:
    """A file of the archive, ready to be read. Digits that are left open are found by reading the file once.

    Raises `ConfigError` when nothing says what it holds, or when it cannot be read.
    """
    named = archive_name(path)
    data_set = _data_set(path, said, named)
    interval = _interval(path, said, named) if data_set.name in CANDLE_SETS else ""
    symbol = said.symbol or (named.symbol if named else "")
    if not symbol:
        raise ConfigError(f"{path}: the name of the file says no symbol; give it with --symbol")
    labels = {"format": "archive", "data_set": data_set.name, "symbol": symbol}
    if interval:
        labels["interval"] = interval
    fields = data_set.fields
    if data_set.name == _METRICS:
        labels["metrics_labels"] = str(said.metrics_labels)
        fields = _metrics_fields(fields, said.metrics_labels, named)
    file = DelimitedFile(path, f"file of {data_set.name}", fields, data_set.order).settled()
    return DataSource(path, data_set.table(file.fields, INTERVALS_MS[interval] if interval else 0), file.rows, labels)


def _data_set(path: Path, said: ArchiveFile, named: ArchiveName | None) -> DataSet:
    name = said.data_set or (named.data_set if named else "")
    if not name:
        raise ConfigError(
            f"{path}: the name of the file says no data set of the archive; give it with --as, one of {', '.join(DATA_SETS)}"
        )
    if name not in DATA_SETS:
        raise ConfigError(f"{path}: {name!r} is not a data set of the archive; there are {', '.join(DATA_SETS)}")
    return DATA_SETS[name]


def _interval(path: Path, said: ArchiveFile, named: ArchiveName | None) -> str:
    interval = said.interval or (named.interval if named else "")
    if interval not in INTERVALS_MS:
        raise ConfigError(
            f"{path}: {interval!r} is not an interval of candles; give it with --interval, one of {', '.join(INTERVALS_MS)}"
        )
    return interval


def _metrics_fields(fields: tuple[Field, ...], labels: MetricsLabels, named: ArchiveName | None) -> tuple[Field, ...]:
    day = named.first if named is not None else None
    known = partial(known_at_ms, labels=labels, day=day)
    return tuple(attrs.evolve(field, parse=known) if field.column == "known_ms" else field for field in fields)
