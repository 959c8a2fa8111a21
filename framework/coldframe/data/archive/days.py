"""Which days the files of a folder cover: what is missing between the first and the last, and what is covered twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path

import attrs

from coldframe.data.archive.names import ArchiveName, archive_name

_DAY = timedelta(days=1)
#: What files belong together: symbol, data set, interval.
_Series = tuple[str, str, str]


@attrs.frozen
class Coverage:
    """The files of one symbol, data set and interval, from the first day on; `missing` are days, first and last of each gap.

    Where a month and days of it are both there, the month counts; `extra` are the files of the days.
    """

    symbol: str
    data_set: str
    interval: str
    files: tuple[Path, ...]
    missing: tuple[tuple[date, date], ...]
    extra: tuple[Path, ...]


def coverage(paths: Iterable[Path]) -> tuple[Coverage, ...]:
    """What the files of the archive among `paths` cover; others are passed over."""
    series: dict[_Series, dict[Path, ArchiveName]] = {}
    for path in sorted(paths):
        named = archive_name(path)
        if named is not None:
            series.setdefault((named.symbol, named.data_set, named.interval), {})[path] = named
    return tuple(_covered(key, files) for key, files in sorted(series.items()))


def _covered(key: _Series, files: Mapping[Path, ArchiveName]) -> Coverage:
    # The longest of those that begin on a day comes first, so that a month stands before its days.
    in_order = sorted(files.items(), key=lambda item: (item[1].first, -item[1].last.toordinal(), item[0]))
    used: list[Path] = []
    extra: list[Path] = []
    missing: list[tuple[date, date]] = []
    until: date | None = None
    for path, named in in_order:
        if until is not None and named.last <= until:
            extra.append(path)
            continue
        if until is not None and named.first > until + _DAY:
            missing.append((until + _DAY, named.first - _DAY))
        used.append(path)
        until = named.last
    return Coverage(*key, tuple(used), tuple(missing), tuple(extra))


def files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder and of those in it."""
    return (path for path in folder.rglob("*") if path.is_file())
