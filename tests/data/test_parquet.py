"""Columns as Parquet: integers that come back as they were, and decimals that other programs read. Needs the extra `data`."""

from __future__ import annotations

import importlib
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from coldframe.data.archive.reader import archive_source
from coldframe.data.events import events_of
from coldframe.data.parquet import ParquetColumns, write_parquet
from coldframe.data.sources import columns_of
from coldframe.errors import ConfigError
from tests.commands.here import coldframe
from tests.data.vendor import AGG_TRADES, METRICS, written

T0 = 1_704_067_200_000


def trades(folder: Path, count: int = 9) -> Path:
    rows = [f"{number},{number}.5,{number}.001,1,1,{T0 + number},true" for number in range(1, count + 1)]
    return written(folder / "BTCUSDT-aggTrades-2024-01.zip", rows, AGG_TRADES)


def parquet() -> Any:
    return pytest.importorskip("pyarrow.parquet", reason="the extra `data` is not installed")


def test_integers_come_back(tmp_path: Path) -> None:
    parquet()
    rows = [f"2024-01-01 00:{minute:02d}:00,X,{minute},2.5,,1,1,{'' if minute % 2 else 1}" for minute in range(0, 50, 5)]
    for source in (trades(tmp_path), written(tmp_path / "X-metrics-2024-01-01.csv", rows, METRICS)):
        target = tmp_path / "made.parquet"
        with columns_of(archive_source(source)) as columns:
            write_parquet(columns, target)
            with ParquetColumns(target) as packed:
                assert list(packed.rows()) == list(columns.rows())
                assert (packed.names, packed.labels, len(packed)) == (columns.names, columns.labels, len(columns))
                assert packed.made_of(source)


def test_how_integers_are_packed(tmp_path: Path) -> None:
    pq, target = parquet(), tmp_path / "made.parquet"
    with columns_of(archive_source(trades(tmp_path))) as columns:
        write_parquet(columns, target)
        told = list(events_of(columns))
    group = pq.ParquetFile(target).metadata.row_group(0)
    packed = [group.column(at) for at in range(group.num_columns)]
    assert {column.compression for column in packed} == {"ZSTD"}
    assert all("DELTA_BINARY_PACKED" in column.encodings for column in packed)
    with ParquetColumns(target) as columns_again:
        assert list(events_of(columns_again)) == told


def test_decimals_are_exact_and_have_a_notional(tmp_path: Path) -> None:
    pq, target = parquet(), tmp_path / "made.parquet"
    with columns_of(archive_source(trades(tmp_path))) as columns:
        write_parquet(columns, target, decimals=True)
    table = pq.read_table(target)
    assert [str(table.schema.field(name).type) for name in ("id", "price", "notional")] == [
        "int64",
        "decimal128(38, 8)",
        "decimal128(38, 16)",
    ]
    first = table.slice(8, 1).to_pylist()[0]
    assert (first["price"], first["quantity"]) == (Decimal("9.5"), Decimal("9.001"))
    assert first["notional"] == Decimal("9.5") * Decimal("9.001")


def test_an_empty_field_is_null(tmp_path: Path) -> None:
    pq, target = parquet(), tmp_path / "made.parquet"
    rows = ["2024-01-01 00:05:00,X,1.5,2.5,,1,1.25,1"]
    with columns_of(archive_source(written(tmp_path / "X-metrics-2024-01-01.csv", rows, METRICS))) as columns:
        write_parquet(columns, target, decimals=True)
    row = pq.read_table(target).to_pylist()[0]
    assert (row["top_accounts_ratio"], row["accounts_ratio"], row["label_ms"]) == (None, Decimal("1.25"), T0 + 300_000)


@pytest.mark.parametrize("reader", ["pandas", "duckdb", "polars"])
def test_other_programs_read_the_decimals(reader: str, tmp_path: Path) -> None:
    parquet()
    module = pytest.importorskip(reader)
    target = tmp_path / "made.parquet"
    with columns_of(archive_source(trades(tmp_path, 300))) as columns:
        write_parquet(columns, target, decimals=True)
    expected = sum(Decimal(f"{number}.5") * Decimal(f"{number}.001") for number in range(1, 301))
    match reader:
        case "duckdb":
            total, count = module.sql(f"select sum(notional), count(*) from '{target}' where price * 1 > 0").fetchall()[0]
        case _:
            table = module.read_parquet(target)
            total, count = table["notional"].sum(), len(table)
    assert (Decimal(str(total)), count) == (expected, 300)


def test_a_command_makes_and_describes_parquet(tmp_path: Path) -> None:
    parquet()
    target = tmp_path / "made.parquet"
    made = coldframe("recording", "columns", trades(tmp_path), "--to", target)
    assert (made.returncode, made.stderr) == (0, "")
    again = coldframe("recording", "columns", target)
    assert again.stdout.partition(": ")[2] == made.stdout.partition(": ")[2]
    assert coldframe("recording", "columns", trades(tmp_path), "--to", target, "--decimals").returncode == 0
    refused = coldframe("recording", "columns", target)
    assert (refused.returncode, refused.stderr.count("\n")) == (78, 1)
    assert "made with --decimals" in refused.stderr


def test_decimals_are_parquet(tmp_path: Path) -> None:
    done = coldframe("recording", "columns", trades(tmp_path), "--decimals")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_another_file_is_refused(tmp_path: Path) -> None:
    parquet()
    (tmp_path / "no.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ConfigError) as caught:
        ParquetColumns(tmp_path / "no.parquet")
    assert "\n" not in str(caught.value)
    assert "not a file of Parquet that can be read" in str(caught.value)
    with pytest.raises(ConfigError, match="not a file of Parquet that can be read"):
        ParquetColumns(tmp_path / "absent.parquet")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("pyarrow")
    with (
        columns_of(archive_source(trades(tmp_path))) as columns,
        pytest.raises(ConfigError, match=r"pip install 'coldframe\[data\]'"),
    ):
        write_parquet(columns, tmp_path / "made.parquet")
