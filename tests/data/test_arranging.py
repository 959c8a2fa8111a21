"""Rows in any order, repeated, with holes, over several blocks: what comes out is what a plain dict and `sorted` would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.data import arranging
from coldframe.data.archive.reader import archive_source
from coldframe.data.arranging import DataSource, Repeats, Table, arranged
from coldframe.data.columns import Column, Columns, Row
from coldframe.data.numbers import NONE, PRICE_DIGITS, decimal_of, digits_of, fixed, fixed_parser, text_of
from coldframe.data.sources import columns_of
from tests.data.vendor import AGG_TRADES, written
from tests.examples import examples

INT64 = st.integers(NONE, -NONE - 1)


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Iterator[None]:
    """Blocks of four rows, and a merge that holds twelve: small inputs go through every path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arranging, "BLOCK_ROWS", 4)
        patch.setattr(arranging, "_MERGED_ROWS", 12)
        yield


def table(repeats: Repeats, step: int = 0, time: str = "") -> Table:
    return Table("made", (Column("key"), Column("value")), ("key",), repeats, time, step)


def made(rows: list[Row], form: Table) -> Columns:
    with TemporaryFile() as file:
        arranged(iter(rows), DataSource(Path("made.csv"), form, lambda: (row for row in rows), {}), into=file)
        return Columns(file, Path("made.csv"))


@settings(max_examples=examples(40))
@given(st.lists(st.tuples(st.integers(-9, 9) | INT64, st.integers(0, 2) | INT64), max_size=40), st.sampled_from(Repeats))
def test_what_comes_out(rows: list[Row], repeats: Repeats) -> None:
    expected = sorted(rows, key=lambda row: row[0])
    if repeats is Repeats.DROP_SAME_KEY:
        first: dict[int, Row] = {}
        for row in rows:
            first.setdefault(row[0], row)
        expected = [first[key] for key in sorted(first)]
    elif repeats is Repeats.DROP_EQUAL:
        expected = list(dict.fromkeys(expected))
    with made(rows, table(repeats)) as columns:
        counts = Counter({told.rule: told.count for told in columns.told})
        assert (list(columns.rows()), len(columns)) == (expected, len(expected))
        assert counts["disorder"] == sum(later[0] < before[0] for before, later in pairwise(rows))
        assert counts["duplicate"] + counts["conflict"] == len(rows) - len(expected)
        if repeats is Repeats.DROP_SAME_KEY:
            assert counts["conflict"] == sum(row != first[row[0]] for row in rows)
        columns.verify()


@settings(max_examples=examples(40))
@given(st.lists(st.integers(-20, 20), max_size=30), st.integers(1, 3))
def test_holes_are_counted(steps: list[int], step: int) -> None:
    keys = sorted({number * step for number in steps})
    missing = len(range(keys[0], keys[-1] + 1, step)) - len(keys) if keys else 0
    with made([(key, 0) for key in keys], table(Repeats.KEEP, step)) as columns:
        assert {told.rule: told.count for told in columns.told} == ({"hole": missing} if missing else {})


@settings(max_examples=examples(40))
@given(st.lists(st.integers(0, 3), max_size=20))
def test_times_that_go_back_are_counted(times: list[int]) -> None:
    rows: list[Row] = list(enumerate(times))
    with made(rows, table(Repeats.DROP_SAME_KEY, time="value")) as columns:
        back = sum(later < before for before, later in pairwise(times))
        assert ({told.rule: told.count for told in columns.told}, list(columns.rows())) == ({"time": back} if back else {}, rows)


# -- whole files --------------------------------------------------------------------------------------------------------

TRADES = st.tuples(st.integers(0, 60), st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**6), st.booleans())


@settings(max_examples=examples(40))
@given(st.lists(TRADES, max_size=30), st.booleans())
def test_a_vendor_file_gives_its_rows(tmp_path_factory: pytest.TempPathFactory, trades: list[Row], named: bool) -> None:
    """Shuffled, duplicated and with holes, in and out of 8 digits: the rows of the file, once each, by their id."""
    path = tmp_path_factory.getbasetemp() / "BTCUSDT-aggTrades-2024-01.csv"
    lines = [
        f"{number},{text_of(price, 8)},{text_of(size, 8)},{number},{number},{1_704_067_200_000 + at},{str(sold).lower()}"
        for number, price, size, at, sold in trades
    ]
    expected: dict[int, Row] = {}
    for number, price, size, at, sold in trades:
        expected.setdefault(number, (number, 1_704_067_200_000 + at, price, size, number, number, int(sold)))
    with columns_of(archive_source(written(path, lines, AGG_TRADES if named else ""))) as columns:
        assert list(columns.rows()) == [expected[number] for number in sorted(expected)]


# -- numbers ------------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(40))
@given(st.integers(-(10**18), 10**18), st.integers(0, 16))
def test_a_number_comes_back(value: int, digits: int) -> None:
    text = text_of(value, digits)
    assert fixed(digits, text) == value == fixed_parser(digits)(text)
    assert digits_of(text) <= digits
    assert fixed(digits_of(text), text) == fixed(digits, text) // 10 ** (digits - digits_of(text))
    assert fixed(digits, format(decimal_of(value, digits), "E")) == value


@pytest.mark.parametrize(
    ("text", "digits", "value"),
    [
        ("1.50", 1, 15),
        ("-0.00", 0, 0),
        ("1e3", 0, 1000),
        ("1.2300e-2", 4, 123),
        ("1000E-2", 0, 10),
        ("+7", 8, 700000000),
        ("5.", 0, 5),
    ],
)
def test_how_numbers_are_printed(text: str, digits: int, value: int) -> None:
    assert (fixed(digits, text), digits_of(text) <= digits) == (value, True)


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1_0", "٣", "0x1", "inf", "NaN", "1e", ".5", "1e999", "--1", "1,0"])
def test_what_is_not_a_number(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        fixed(PRICE_DIGITS, text)


@pytest.mark.parametrize(("text", "fits"), [("92233720368.54775807", True), ("92233720368.54775808", False), ("1e99", False)])
def test_64_bits(text: str, fits: bool) -> None:
    if fits:
        assert fixed(8, text) == 2**63 - 1
    else:
        with pytest.raises(ValueError, match="too large for 64 bits"):
            fixed(8, text)
