"""Events of hftbacktest: in as its own files are, out and in again, and in an order that both sides of a market accept."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.data.arranging import DataSource, arranged
from coldframe.data.columns import Columns, Finding, Row
from coldframe.data.hftbacktest import hftbacktest_source
from coldframe.data.hftbacktest_export import write_hftbacktest
from coldframe.data.market import MARKET, Kind, recording_source
from coldframe.data.sources import columns_of
from coldframe.errors import ConfigError
from tests.commands.here import coldframe
from tests.conftest import SHARED, needs_shared
from tests.examples import examples

MS = 1_704_067_200_000
NS = MS * 1_000_000
FIELDS = str(
    [
        (name, "<f8" if name in ("px", "qty", "fval") else "<i8" if name in ("exch_ts", "local_ts", "ival") else "<u8")
        for name in ("ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval")
    ]
)
BOTH, EXCHANGE, BOT, BUY, SELL = 0b11 << 30, 1 << 31, 1 << 30, 1 << 29, 1 << 28
NAN = float("nan")

Record = tuple[int, int, int, float, float]


def npz(path: Path, records: Sequence[Record], fields: str = FIELDS, count: int | None = None) -> Path:
    """A file as numpy writes it: a header of text in version 1.0, then records of 64 bytes."""
    header = f"{{'descr': {fields}, 'fortran_order': False, 'shape': ({len(records) if count is None else count},), }}"
    header += " " * (-(10 + len(header) + 1) % 64) + "\n"
    body = b"".join(struct.pack("<QqqddQqd", *record, 0, 0, 0.0) for record in records)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("data.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + body)
    return path


def records_of(path: Path) -> list[Record]:
    """The first five fields of every record."""
    with zipfile.ZipFile(path) as packed:
        whole = packed.read("data.npy")
    return [record[:5] for record in struct.iter_unpack("<QqqddQqd", whole[10 + int.from_bytes(whole[8:10], "little") :])]


def price(text: str) -> int:
    return int(Decimal(text) * 10**8)


def made(rows: Sequence[Row], symbols: str = "X") -> Columns:
    with TemporaryFile() as file:
        arranged(iter(rows), DataSource(Path("made"), MARKET, lambda: (row for row in rows), {"symbols": symbols}), into=file)
        return Columns(file, Path("made"))


def test_events_become_rows(tmp_path: Path) -> None:
    at = NS + 2_500_000, NS + 3_000_000
    path = npz(
        tmp_path / "made.npz",
        [
            (3 | BUY | BOTH, *at, 99.0, 0.0),
            (4 | BUY | BOTH, *at, 100.1, 1.5),
            (3 | SELL | BOTH, *at, 102.0, 0.0),
            (4 | SELL | BOTH, *at, 0.1 + 0.2, 3.0),
            (2 | SELL | BOTH, NS + 3_000_000, NS + 4_000_000, 100.1, 0.5),
            (1 | BUY | EXCHANGE, NS + 9_000_000, NS + 9_900_000, 100.1, 7.0),
            (1 | BUY | BOT, NS + 3_000_000, NS + 5_000_000, 100.1, 1.0),
            (1 | SELL | BOT, NS + 3_000_000, NS + 5_000_000, 101.0, 0.0),
            (5 | BUY | BOTH, NS + 3_000_000, NS + 6_000_000, 100.0, 1.0),
            (5 | SELL | BOTH, NS + 3_000_000, NS + 6_000_000, 101.0, 2.0),
            (10 | BUY | BOTH, NS + 3_000_000, NS + 7_000_000, 100.0, 1.0),
            (3 | BOTH, NS + 3_000_000, NS + 8_000_000, NAN, NAN),
            (3 | BUY | BOTH, NS + 3_000_000, NS + 9_000_000, 99.0, 0.0),
        ],
    )
    with columns_of(hftbacktest_source(path, "X")) as columns:
        assert list(columns.rows()) == [
            (Kind.SNAPSHOT, NS + 3_000_000, 0, MS + 2, 1, 0, 0, 1, 1),
            (Kind.BID, NS + 3_000_000, 0, MS + 2, 0, price("100.1"), price("1.5"), 0, 0),
            (Kind.ASK, NS + 3_000_000, 0, MS + 2, 0, price("0.3"), price("3"), 0, 0),
            (Kind.TRADE, NS + 4_000_000, 0, MS + 3, 0, price("100.1"), price("0.5"), 1, 0),
            (Kind.DEPTH, NS + 5_000_000, 0, MS + 3, 2, 2, 1, 1, 1),
            (Kind.BID, NS + 5_000_000, 0, MS + 3, 0, price("100.1"), price("1"), 0, 0),
            (Kind.ASK, NS + 5_000_000, 0, MS + 3, 0, price("101"), 0, 0, 0),
            (Kind.BEST, NS + 6_000_000, 0, MS + 3, 0, price("100"), price("1"), price("101"), price("2")),
            (Kind.SNAPSHOT, NS + 8_000_000, 0, MS + 3, 3, 0, 0, 0, 0),
        ]
        names = "1 clears of a part of a book, 1 events of single orders or of unknown kinds"
        assert columns.told == (Finding("left out", 2, names),)


TRADES = st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(1, 10**12), st.integers(1, 10**12), st.integers(0, 1))


@settings(max_examples=examples(40))
@given(st.lists(TRADES, max_size=25))
def test_what_goes_out_comes_in_again(tmp_path_factory: pytest.TempPathFactory, trades: list[Row]) -> None:
    """Each side sees its own time grow, and none before it happened; all come back, later by one shift at most."""
    path = tmp_path_factory.getbasetemp() / "made.npz"
    rows = [
        (Kind.TRADE.value, NS + local * 1_000_000, 0, MS + happened, 0, cost, size, maker, 0)
        for local, happened, cost, size, maker in trades
    ]
    with made(rows) as columns:
        write_hftbacktest(columns, path)
        expected = list(columns.rows())
    records = records_of(path)
    for flag, at in ((EXCHANGE, 1), (BOT, 2)):
        times = [record[at] for record in records if record[0] & flag]
        assert (times, len(times)) == (sorted(times), len(rows))
    assert all(record[1] <= record[2] for record in records)
    shift = max([row[3] * 1_000_000 - row[1] for row in rows] + [0])
    with columns_of(hftbacktest_source(path, "X")) as columns:
        assert [(row[0], row[1] - shift, *row[2:]) for row in columns.rows()] == expected


def test_an_event_is_split_where_the_sides_disagree(tmp_path: Path) -> None:
    """The second trade happened before the first one, which the bot saw first: no other is written twice."""
    rows = [
        (Kind.TRADE, NS + at * 10**6, 0, MS + happened, at, price("1"), price("1"), 0, 0)
        for at, happened in ((7, 5), (8, 3), (9, 6))
    ]
    with made(rows) as columns:
        write_hftbacktest(columns, tmp_path / "made.npz")
    flags = [(record[0] & BOTH, (record[1] - NS) // 10**6) for record in records_of(tmp_path / "made.npz")]
    assert flags == [(EXCHANGE, 3), (BOTH, 5), (BOT, 3), (BOTH, 6)]


def test_a_book_goes_out_and_comes_in_again(tmp_path: Path) -> None:
    at = NS + 1_000_000, 0, MS
    rows = [
        (Kind.SNAPSHOT, *at, 1, 0, 0, 2, 1),
        (Kind.BID, *at, 0, price("100"), price("1"), 0, 0),
        (Kind.BID, *at, 0, price("99.9"), price("2"), 0, 0),
        (Kind.ASK, *at, 0, price("100.2"), price("3"), 0, 0),
        (Kind.MARK, NS + 2_000_000, 0, MS, 0, 1, 1, 1, 1),
        (Kind.BEST, NS + 2_000_000, 0, MS, 0, 1, 1, 2, 1),
        (Kind.DEPTH, NS + 3_000_000, 0, MS + 1, 2, 2, 1, 0, 1),
        (Kind.ASK, NS + 3_000_000, 0, MS + 1, 0, price("100.2"), 0, 0, 0),
    ]
    with made(rows) as columns:
        write_hftbacktest(columns, tmp_path / "made.npz")
    assert [record[0] for record in records_of(tmp_path / "made.npz")] == [
        *(3 | BUY | BOTH, 4 | BUY | BOTH, 4 | BUY | BOTH),
        *(3 | SELL | BOTH, 4 | SELL | BOTH, 1 | SELL | BOTH),
    ]
    assert records_of(tmp_path / "made.npz")[0][3] == 99.9
    with columns_of(hftbacktest_source(tmp_path / "made.npz", "X")) as columns:
        assert list(columns.rows()) == [row for row in rows if row[0] not in (Kind.MARK, Kind.BEST)]


def test_best_prices_go_out_where_there_is_no_book(tmp_path: Path) -> None:
    rows = [(Kind.BEST, NS, 0, MS, 0, price("1"), price("2"), price("3"), price("4"))]
    with made(rows) as columns:
        write_hftbacktest(columns, tmp_path / "made.npz")
    assert [record[3:] for record in records_of(tmp_path / "made.npz")] == [(1.0, 2.0), (3.0, 4.0)]
    with columns_of(hftbacktest_source(tmp_path / "made.npz", "X")) as columns:
        assert list(columns.rows()) == rows


def test_one_symbol_of_several_is_named(tmp_path: Path) -> None:
    rows = [(Kind.TRADE, NS, symbol, MS, 0, price("1") * (symbol + 1), price("1"), 0, 0) for symbol in (0, 1)]
    with made(rows, "A,B") as columns:
        write_hftbacktest(columns, tmp_path / "made.npz", "B")
        assert [record[3] for record in records_of(tmp_path / "made.npz")] == [2.0]
        with pytest.raises(ConfigError, match="it holds A, B: say with --symbol"):
            write_hftbacktest(columns, tmp_path / "made.npz")
        with pytest.raises(ConfigError, match="nothing of C in it; it holds A, B"):
            write_hftbacktest(columns, tmp_path / "made.npz", "C")


@pytest.mark.parametrize(
    ("records", "more", "said"),
    [
        ([(2 | BUY | BOTH, 1, 1, NAN, 1.0)], {}, "event 0: not a price or quantity: nan"),
        ([(2 | BUY | BOTH, 1, 1, 1e300, 1.0)], {}, "event 0: 1e+300 is too large for 64 bits"),
        ([], {"count": 3}, "the file ends before its last event"),
        ([], {"fields": "[('px', '<f8')]"}, "not events of hftbacktest 2, which have the fields ev, exch_ts"),
        ([], {"fields": "'<f8'"}, "not events of hftbacktest 2"),
        ([], {"fields": "__import__('os')"}, "data.npy holds no list of records"),
    ],
)
def test_a_bad_file_is_one_line(records: list[Record], more: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = npz(tmp_path / "made.npz", records, **more)
    with pytest.raises(ConfigError) as caught:
        columns_of(hftbacktest_source(path, "X"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_an_npz(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as packed:
        packed.writestr("else.npy", b"")
    (tmp_path / "text.npz").write_text("no zip")
    for name, said in (("other", "no data.npy in it"), ("text", "the zip is damaged"), ("absent", "cannot be read")):
        with pytest.raises(ConfigError, match=said):
            columns_of(hftbacktest_source(tmp_path / f"{name}.npz", "X"))


@needs_shared
def test_a_recording_is_read_by_numpy(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    recording = SHARED / "data" / "capture_2024-08-08_btcusdt_first15s.jsonl.gz"
    done = coldframe("recording", "columns", recording, "--to", tmp_path / "made.npz")
    assert (done.returncode, done.stderr) == (0, "")
    events = numpy.load(tmp_path / "made.npz")["data"]
    with columns_of(recording_source(recording)) as columns:
        trades = sum(row[0] == Kind.TRADE for row in columns.rows())
    assert int(((events["ev"] & 0xFF == 2) & (events["ev"] & BOT > 0)).sum()) == trades
    assert (numpy.diff(events["local_ts"][events["ev"] & BOT > 0]) >= 0).all()
    assert (numpy.diff(events["exch_ts"][events["ev"] & EXCHANGE > 0]) >= 0).all()
    again = coldframe("recording", "columns", tmp_path / "made.npz", "--symbol", "BTCUSDT", "--to", tmp_path / "again")
    assert again.returncode == 0


def test_the_command_needs_a_symbol(tmp_path: Path) -> None:
    done = coldframe("recording", "columns", npz(tmp_path / "made.npz", []))
    assert (done.returncode, done.stderr.count("\n")) == (78, 1)
    assert "says no symbol; give it with --symbol" in done.stderr


@pytest.mark.scene
@needs_shared
def test_hftbacktest_sees_the_same_market(tmp_path: Path) -> None:
    """Its own book at the end of a recording is the book that the rows make, and it has heard every trade."""
    peer = pytest.importorskip("hftbacktest", reason="hftbacktest is not installed")
    path, sides, trades = tmp_path / "made.npz", {Kind.BID: dict[int, int](), Kind.ASK: dict[int, int]()}, 0
    with columns_of(recording_source(SHARED / "data" / "capture_2024-08-08_btcusdt_first15s.jsonl.gz")) as columns:
        write_hftbacktest(columns, path)
        for kind, _, _, _, _, cost, quantity, _, _ in columns.rows():
            trades += kind == Kind.TRADE
            if kind in (Kind.BID, Kind.ASK):
                sides[Kind(kind)][cost] = quantity
    asset = peer.BacktestAsset().data([str(path)]).linear_asset(1.0).constant_order_latency(10**6, 10**6)
    asset = asset.risk_adverse_queue_model().no_partial_fill_exchange().trading_value_fee_model(0, 0)
    backtest = peer.HashMapMarketDepthBacktest([asset.tick_size(0.1).lot_size(0.001).last_trades_capacity(10_000)])
    for _ in range(20):
        backtest.elapse(10**9)
    bid = max(cost for cost, quantity in sides[Kind.BID].items() if quantity)
    ask = min(cost for cost, quantity in sides[Kind.ASK].items() if quantity)
    depth = backtest.depth(0)
    expected = (bid / 1e8, sides[Kind.BID][bid] / 1e8, ask / 1e8, sides[Kind.ASK][ask] / 1e8)
    found = (depth.best_bid, depth.best_bid_qty, depth.best_ask, depth.best_ask_qty)
    assert found == pytest.approx(expected, rel=1e-12)
    assert len(backtest.last_trades(0)) == trades
    backtest.close()


def test_a_file_of_numpy_is_read(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    kinds = {"px": "f8", "qty": "f8", "fval": "f8", "ev": "u8", "order_id": "u8"}
    names = ("ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval")
    form = numpy.dtype([(name, kinds.get(name, "i8")) for name in names], align=True)
    events = numpy.zeros(2, form)
    events["ev"], events["exch_ts"], events["local_ts"], events["px"], events["qty"] = 2 | BUY | BOTH, NS, NS + 5, (1.1, 1.2), 3
    for save in (numpy.savez, numpy.savez_compressed):
        save(tmp_path / "made.npz", data=events)
        with columns_of(hftbacktest_source(tmp_path / "made.npz", "X")) as columns:
            assert [row[5:7] for row in columns.rows()] == [(price("1.1"), price("3")), (price("1.2"), price("3"))]
