"""`coldframe recording columns`: a file of the archive in, columns and what was wrong with it out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.here import coldframe
from tests.data.vendor import AGG_TRADES, METRICS, written

T0 = 1_704_067_200_000


def trades(folder: Path) -> Path:
    rows = [f"{number},1.5,{number},1,1,{T0 + number},true" for number in (1, 2, 9, 2)]
    return written(folder / "BTCUSDT-aggTrades-2024-01.zip", rows, AGG_TRADES)


def test_a_file_becomes_columns_and_is_described(tmp_path: Path) -> None:
    made = coldframe("recording", "columns", trades(tmp_path))
    target = tmp_path / "BTCUSDT-aggTrades-2024-01.zip.columns"
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.splitlines() == [
        f"{target}: BTCUSDT aggTrades, 3 rows, 2024-01-01 00:00:00.001 to 2024-01-01 00:00:00.009 UTC",
        "  1 rows out of order, sorted: id 2 is row 4 and comes after one that it should precede",
        "  1 rows that stand there twice, dropped: id 2 stands there twice; it counts once",
        "  6 rows missing: id 9 comes after 6 that are missing",
    ]
    assert coldframe("recording", "columns", target).stdout == made.stdout
    document = json.loads(coldframe("recording", "columns", target, "--json").stdout)
    assert (document["rows"], document["columns"]["price"], document["labels"]["symbol"]) == (3, 8, "BTCUSDT")
    assert document["told"]["hole"] == {"count": 6, "first": "id 9 comes after 6 that are missing"}


def test_what_a_name_does_not_say_is_given(tmp_path: Path) -> None:
    source = written(tmp_path / "mine.csv", ["2026-06-25 00:00:00,BTCUSDT,1,1,1,1,1,1"], METRICS)
    more = "--as", "metrics", "--symbol", "BTCUSDT", "--to", tmp_path / "made"
    shown = {}
    for labels in ("start", "end"):
        done = coldframe("recording", "columns", source, *more, "--metrics-labels", labels)
        shown[labels] = done.stdout.partition("rows, ")[2].strip()
    assert shown == {
        "start": "2026-06-25 00:05:00 to 2026-06-25 00:05:00 UTC",
        "end": "2026-06-25 00:00:00 to 2026-06-25 00:00:00 UTC",
    }


def test_a_file_without_rows_has_no_span(tmp_path: Path) -> None:
    done = coldframe("recording", "columns", written(tmp_path / "BTCUSDT-trades-2024-01.csv", []))
    assert done.stdout.endswith("BTCUSDT trades, 0 rows\n")


@pytest.mark.parametrize("row", ["1,x,1,1,1,1704067200001,true", "1,1"])
def test_a_bad_file_is_one_line(row: str, tmp_path: Path) -> None:
    source = written(tmp_path / "BTCUSDT-aggTrades-2024-01.csv", [row], AGG_TRADES)
    done = coldframe("recording", "columns", source)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (78, "", 1)
    assert f"{source}:2: " in done.stderr
