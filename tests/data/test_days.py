"""Which days the files of a folder cover."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.data.archive.days import coverage
from tests.commands.here import coldframe
from tests.data.vendor import written
from tests.examples import examples

START = date(2024, 2, 1)
MINUTE = 60_000


def names(days: list[int]) -> list[Path]:
    return [Path(f"BTCUSDT-trades-{START + timedelta(days=day)}.zip") for day in days]


@settings(max_examples=examples(40))
@given(st.sets(st.integers(0, 40), min_size=1))
def test_missing_days(days: set[int]) -> None:
    (series,) = coverage(names(sorted(days, reverse=True)))
    missing = {(first - START).days + step for first, last in series.missing for step in range((last - first).days + 1)}
    assert missing == set(range(min(days), max(days))) - days
    assert [path.name for path in series.files] == [path.name for path in names(sorted(days))]


def test_a_month_counts_before_its_days() -> None:
    paths = [Path(f"BTCUSDT-trades-2024-{part}.zip") for part in ("01", "01-05", "01-31", "02-01", "02-03")]
    (series,) = coverage(paths)
    assert [path.name[-9:-4] for path in series.files] == ["24-01", "02-01", "02-03"]
    assert [path.name[-9:-4] for path in series.extra] == ["01-05", "01-31"]
    assert series.missing == ((date(2024, 2, 2), date(2024, 2, 2)),)


def test_series_are_apart() -> None:
    paths = [Path(f"{name}-2024-01-0{day}.zip") for day in (1, 3) for name in ("A-trades", "B-trades", "A-1m", "A-1h")]
    paths += [Path(f"markPriceKlines/A/1m/A-1m-2024-01-0{day}.zip") for day in (1, 2)]
    found = coverage([*paths, Path("notes.txt")])
    assert [(series.symbol, series.data_set, series.interval, len(series.missing)) for series in found] == [
        ("A", "klines", "1h", 1),
        ("A", "klines", "1m", 1),
        ("A", "markPriceKlines", "1m", 0),
        ("A", "trades", "", 1),
        ("B", "trades", "", 1),
    ]


@pytest.mark.parametrize("sub", ["", "um/trades"])
def test_a_folder_becomes_columns_and_its_gaps_are_told(sub: str, tmp_path: Path) -> None:
    for day in ("01", "02", "05", "07"):
        row = f"{int(day)},1.5,2,3,17040672000{day},true"
        written(tmp_path / sub / f"BTCUSDT-trades-2024-01-{day}.csv", [row])
    done = coldframe("recording", "columns", tmp_path)
    lines = done.stdout.splitlines()
    assert (done.returncode, len(lines)) == (0, 6)
    assert lines[-2:] == [
        "BTCUSDT trades: no file for 2024-01-03 to 2024-01-04",
        "BTCUSDT trades: no file for 2024-01-06",
    ]
    assert len(list(tmp_path.rglob("*.columns"))) == 4
    assert coldframe("recording", "columns", tmp_path).stdout == done.stdout


def test_a_folder_without_such_files(tmp_path: Path) -> None:
    done = coldframe("recording", "columns", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (78, 1)
    assert "no file in it is named as the exchange's archive names its files" in done.stderr
