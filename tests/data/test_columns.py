"""Files of columns: what is written is mapped back exactly, and a file that is damaged or cut is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.data.archive.reader import archive_source
from coldframe.data.columns import BLOCK_ROWS, Column, Columns, ColumnsWriter, Finding, is_columns, open_columns
from coldframe.data.sources import write_columns
from coldframe.errors import ConfigError
from tests.data.vendor import AGG_TRADES, written
from tests.examples import examples

COLUMNS = tuple(Column(name) for name in "abc")
#: Around every width of an integer.
WIDE = st.integers(-(2**63), 2**63 - 1) | st.sampled_from(
    [side * 2**bits + off for bits in (7, 15, 31) for side in (1, -1) for off in (-1, 0, 1)]
)


@settings(max_examples=examples(40))
@given(st.lists(st.lists(st.tuples(WIDE, WIDE, st.booleans().map(int)), min_size=1, max_size=9), max_size=4))
def test_what_is_written_is_mapped_back(blocks: list[list[tuple[int, int, int]]]) -> None:
    with TemporaryFile() as file:
        writer = ColumnsWriter(file)
        for block in blocks:
            writer.write(block)
        writer.finish("made", COLUMNS, {"symbol": "X"}, [Finding("hole", 1, "a sentence")])
        with Columns(file, Path("made")) as columns:
            assert list(columns.rows()) == [row for block in blocks for row in block]
            assert [list(zip(*block, strict=True)) for block in columns.blocks()] == blocks
            assert (columns.table, columns.names, len(columns)) == ("made", ("a", "b", "c"), sum(map(len, blocks)))
            assert (columns.labels, columns.told) == ({"symbol": "X"}, (Finding("hole", 1, "a sentence"),))
            columns.verify()


def trades(folder: Path, count: int = 50) -> Path:
    rows = [f"{number},1.5,{number},1,1,{1_704_067_200_000 + number},true" for number in range(1, count + 1)]
    return written(folder / "BTCUSDT-aggTrades-2024-01.zip", rows, AGG_TRADES)


def test_columns_are_made_once(tmp_path: Path) -> None:
    source, target = trades(tmp_path), tmp_path / "trades.columns"
    with write_columns(archive_source(source), target) as columns:
        assert (len(columns), columns.made_of(source), is_columns(target), is_columns(source)) == (50, True, True, False)
    made = target.stat().st_mtime_ns
    with write_columns(archive_source(source), target) as columns:
        assert (len(columns), target.stat().st_mtime_ns) == (50, made)
    trades(tmp_path, 51)
    assert not open_columns(target).made_of(source)
    with write_columns(archive_source(source), target) as columns:
        assert len(columns) == 51
    assert sorted(path.name for path in tmp_path.iterdir()) == [source.name, target.name]


def test_nothing_is_left_of_a_source_that_cannot_be_read(tmp_path: Path) -> None:
    source = written(tmp_path / "BTCUSDT-aggTrades-2024-01.csv", ["1,x,1,1,1,1704067200000,true"])
    with pytest.raises(ConfigError, match=":1: price"):
        write_columns(archive_source(source), tmp_path / "trades.columns")
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        write_columns(archive_source(trades(tmp_path)), tmp_path / "no" / "trades.columns")
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        open_columns(tmp_path / "no")


def cut(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def without_end(whole: bytes) -> bytes:
    return whole[:-1]


def of_the_future(whole: bytes) -> bytes:
    return whole.replace(b'"version":1', b'"version":2')


def of_another_machine(whole: bytes) -> bytes:
    return whole.replace(b'"little"', b'"big"   ')


def without_sense(whole: bytes) -> bytes:
    return whole.replace(b'{"version"', b'["version"')


def with_other_rows(whole: bytes) -> bytes:
    return whole.replace(b'"rows":50', b'"rows":49')


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cut, "not a file of columns, or one that was not finished"),
        (without_end, "not a file of columns, or one that was not finished"),
        (lambda whole: b"", "not a file of columns, or one that was not finished"),
        (of_the_future, "columns of version 2; this build reads version 1"),
        (of_another_machine, "made on a big-endian machine"),
        (without_sense, "the description at its end is damaged"),
        (with_other_rows, "the description at its end does not fit its blocks"),
    ],
)
def test_what_is_not_whole_is_refused(change: Callable[[bytes], bytes], said: str, tmp_path: Path) -> None:
    target = tmp_path / "trades.columns"
    write_columns(archive_source(trades(tmp_path)), target).close()
    target.write_bytes(change(target.read_bytes()))
    with pytest.raises(ConfigError) as caught:
        open_columns(target)
    assert str(caught.value).startswith(f"{target}: {said}")


def test_a_damaged_block_is_found(tmp_path: Path) -> None:
    target = tmp_path / "trades.columns"
    write_columns(archive_source(trades(tmp_path)), target).close()
    whole = bytearray(target.read_bytes())
    whole[100] ^= 1
    target.write_bytes(whole)
    with open_columns(target) as columns, pytest.raises(ConfigError, match="block 1 of 1 is damaged"):
        columns.verify()


def test_a_large_file_is_written_in_blocks(tmp_path: Path) -> None:
    with TemporaryFile() as file:
        writer = ColumnsWriter(file)
        for start in (0, BLOCK_ROWS):
            writer.write([(number, 0, 1) for number in range(start, start + BLOCK_ROWS)])
        writer.finish("made", COLUMNS, {})
        with Columns(file, Path("made")) as columns:
            assert sum(row[0] for row in columns.rows()) == sum(range(2 * BLOCK_ROWS))
            assert [entry.codes for entry in columns.footer.blocks] == ["ibb", "ibb"]
