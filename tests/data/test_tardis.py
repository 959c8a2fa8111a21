"""Files of Tardis.dev: every data type that is read, as rows and as events, and what is said about a bad one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from coldframe.data.columns import Finding
from coldframe.data.events import events_of
from coldframe.data.market import Kind
from coldframe.data.numbers import NONE
from coldframe.data.sources import columns_of
from coldframe.data.tardis import TARDIS_TYPES, tardis_name, tardis_source
from coldframe.enums import Side
from coldframe.errors import ConfigError
from coldframe.model.events import BestPriceChanged, LiquidationPrinted, MarkPriceChanged, TradePrinted
from tests.data.vendor import written

US = 1_704_067_200_000_123
MS = US // 1000
HEAD = "exchange,symbol,timestamp,local_timestamp,"
NAMES = {
    "incremental_book_L2": HEAD + "is_snapshot,side,price,amount",
    "trades": HEAD + "id,side,price,amount",
    "quotes": HEAD + "ask_amount,ask_price,bid_price,bid_amount",
    "book_ticker": HEAD + "ask_amount,ask_price,bid_price,bid_amount",
    "derivative_ticker": HEAD
    + "funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,mark_price",
    "liquidations": HEAD + "id,side,price,amount",
}


def row(received_us: int, rest: str, symbol: str = "BTCUSDT") -> str:
    return f"binance-futures,{symbol},{US},{received_us},{rest}"


def file(folder: Path, data_type: str, *rows: str) -> Path:
    return written(folder / f"binance-futures_{data_type}_2024-01-01_BTCUSDT.csv.gz", rows, NAMES[data_type])


def price(text: str) -> int:
    return int(Decimal(text) * 10**8)


def test_a_book_is_a_snapshot_and_its_changes(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        "incremental_book_L2",
        row(US + 1, "true,ask,101,3"),
        row(US + 1, "true,bid,100,1.5"),
        row(US + 1, "true,bid,99.9,2"),
        row(US + 9, "false,bid,100,0"),
        row(US + 9, "false,ask,100.5,1e-3"),
        row(US + 12, "false,ask,101,0"),
    )
    with columns_of(tardis_source(path)) as columns:
        at, later, last = (US + 1) * 1000, (US + 9) * 1000, (US + 12) * 1000
        assert list(columns.rows()) == [
            (Kind.SNAPSHOT, at, 0, MS, 1, 0, 0, 2, 1),
            (Kind.BID, at, 0, MS, 0, price("100"), price("1.5"), 0, 0),
            (Kind.BID, at, 0, MS, 0, price("99.9"), price("2"), 0, 0),
            (Kind.ASK, at, 0, MS, 0, price("101"), price("3"), 0, 0),
            (Kind.DEPTH, later, 0, MS, 2, 2, 1, 1, 1),
            (Kind.BID, later, 0, MS, 0, price("100"), 0, 0, 0),
            (Kind.ASK, later, 0, MS, 0, price("100.5"), price("0.001"), 0, 0),
            (Kind.DEPTH, last, 0, MS, 3, 3, 2, 0, 1),
            (Kind.ASK, last, 0, MS, 0, price("101"), 0, 0, 0),
        ]
        assert (columns.labels["symbols"], columns.told, [*events_of(columns)]) == ("BTCUSDT", (), [])


def test_trades(tmp_path: Path) -> None:
    with columns_of(tardis_source(file(tmp_path, "trades", row(US, "7,sell,42000.1,0.5"), row(US, ",buy,42000.2,1")))) as columns:
        sold, bought = events_of(columns)
    assert sold == TradePrinted("BTCUSDT", US * 1000, MS, 7, Decimal("42000.1"), Decimal("0.5"), Side.SELL, MS, aggregated=False)
    assert bought == TradePrinted("BTCUSDT", US * 1000, MS, 0, Decimal("42000.2"), Decimal(1), Side.BUY, MS, aggregated=False)


@pytest.mark.parametrize("data_type", ["quotes", "book_ticker"])
def test_best_prices_and_empty_sides(data_type: str, tmp_path: Path) -> None:
    path = file(tmp_path, data_type, row(US, ",,100,3"), row(US + 1, "2,100.5,100,3"))
    with columns_of(tardis_source(path)) as columns:
        prices = map(Decimal, ("100", "3", "100.5", "2"))
        assert [*events_of(columns)] == [BestPriceChanged("BTCUSDT", (US + 1) * 1000, MS, 0, *prices)]
        assert columns.told == (Finding("left out", 1, "1 rows with an empty side"),)


def test_the_ticker_of_a_derivative(tmp_path: Path) -> None:
    rest = f"{US + 1000},0.00004405208333333333,,760.6049,,82500.1,82546.76734"
    path = file(tmp_path, "derivative_ticker", row(US, rest), row(US + 1, ",,,760.7,,82500.1,82546.7"))
    with columns_of(tardis_source(path)) as columns:
        first, second = (dict(zip(columns.names, row, strict=True)) for row in columns.rows())
        assert (columns.digits("funding_rate"), first["funding_rate"], first["predicted_funding_rate"]) == (
            20,
            4405208333333333,
            NONE,
        )
        assert (first["funding_ms"], first["open_interest"], first["last_price"]) == (MS + 1, price("760.6049"), NONE)
        assert (second["funding_rate"], second["mark_price"]) == (NONE, price("82546.7"))
        rate = Decimal("0.00004405208333333333")
        expected = MarkPriceChanged("BTCUSDT", US * 1000, MS, Decimal("82546.76734"), Decimal("82500.1"), rate, MS + 1)
        assert [*events_of(columns)] == [expected]


def test_liquidations(tmp_path: Path) -> None:
    with columns_of(tardis_source(file(tmp_path, "liquidations", row(US, ",buy,42000.1,0.5")))) as columns:
        (event,) = events_of(columns)
    numbers = Decimal("42000.1"), Decimal("42000.1"), Decimal("0.5"), Decimal("0.5")
    assert event == LiquidationPrinted("BTCUSDT", US * 1000, MS, Side.BUY, *numbers, "")


def test_rows_stay_in_the_order_of_receiving(tmp_path: Path) -> None:
    path = file(tmp_path, "trades", *(row(at, f"{number},buy,1,1") for number, at in enumerate((US + 5, US, US + 5, US))))
    with columns_of(tardis_source(path)) as columns:
        assert [row[4] for row in columns.rows()] == [1, 3, 0, 2]
        assert [told.rule for told in columns.told] == ["disorder"]


@pytest.mark.parametrize(
    ("data_type", "bad", "said"),
    [
        ("trades", row(US, "7,unknown,1,1"), ":2: side: 'unknown' is not one of buy, sell"),
        ("trades", row(US, "d2-11,buy,1,1"), ":2: id: not a whole number: 'd2-11'"),
        ("trades", row(US, "7,buy,1,1", "ETHUSDT"), ":2: symbol: 'ETHUSDT' stands in a file of BTCUSDT"),
        ("trades", row(MS, "7,buy,1,1"), f":2: local_timestamp: not a time in epoch microseconds: '{MS}'"),
        ("incremental_book_L2", row(US, "maybe,bid,1,1"), ":2: is_snapshot: neither true nor false: 'maybe'"),
        ("incremental_book_L2", row(US, "true,buy,1,1"), ":2: side: 'buy' is not one of bid, ask"),
        ("derivative_ticker", row(US, ",x,,,,,"), ":2: funding_rate: not a number: 'x'"),
        ("liquidations", row(US, "1,buy,1"), ":2: 7 fields, where"),
    ],
)
def test_a_bad_row_is_one_line(data_type: str, bad: str, said: str, tmp_path: Path) -> None:
    path = file(tmp_path, data_type, bad)
    with pytest.raises(ConfigError) as caught:
        columns_of(tardis_source(path))
    assert str(caught.value).startswith(f"{path}{said}") or "fields, where" in said


def test_what_a_name_says() -> None:
    for data_type in TARDIS_TYPES:
        named = tardis_name(Path(f"binance-futures_{data_type}_2024-01-01_btcusdt.csv.gz"))
        assert named is not None
        assert (named.data_type, named.symbol) == (data_type, "BTCUSDT")
    for name in ("binance-futures_options_chain_2024-01-01_X.csv.gz", "BTCUSDT.csv.gz", "a_trades_2024_X.csv"):
        assert tardis_name(Path(name)) is None


def test_a_file_of_any_name_is_read_when_told_what_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.csv", [row(US, "7,buy,1,1")], NAMES["trades"])
    with columns_of(tardis_source(path, "trades", "BTCUSDT")) as columns:
        assert len(columns) == 1
    with pytest.raises(ConfigError, match="says no symbol"):
        tardis_source(path, "trades")
    with pytest.raises(ConfigError, match="'orders' is not a data type of Tardis that is read"):
        tardis_source(path, "orders")
