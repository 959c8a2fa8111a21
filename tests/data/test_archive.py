"""Files of the exchange's archive: every data set, every trap of it, and what is said about a bad line."""

from __future__ import annotations

import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from coldframe.data.archive.datasets import DATA_SETS
from coldframe.data.archive.labels import MetricsLabels
from coldframe.data.archive.names import archive_name
from coldframe.data.archive.reader import ArchiveFile, archive_source
from coldframe.data.columns import Finding, Row
from coldframe.data.events import events_of
from coldframe.data.numbers import NONE, utc_ms
from coldframe.data.sources import columns_of
from coldframe.enums import Side
from coldframe.errors import ConfigError
from coldframe.model.events import BestPriceChanged, CandleChanged, TradePrinted
from tests.data.vendor import AGG_TRADES, BOOK_TICKER, KLINES, METRICS, written

T0 = 1_704_067_200_000
FIVE = 300_000
CANDLE = f"{T0},42314.00,42335.80,42289.60,42331.90,289.641,{T0 + 59_999},12256155.27250,3310,175.211,7414459.87060,0"


def read(path: Path, said: ArchiveFile | None = None) -> tuple[list[dict[str, int]], dict[str, Finding]]:
    """The rows of a file by the names of their columns, and what was told by its rule."""
    with columns_of(archive_source(path, said or ArchiveFile())) as columns:
        rows = [dict(zip(columns.names, row, strict=True)) for row in columns.rows()]
        return rows, {told.rule: told for told in columns.told}


def trade(number: int, at_ms: int = T0, price: str = "29223.0", quantity: str = "0.639", *, sold: bool = False) -> str:
    return f"{number},{price},{quantity},{number * 2},{number * 2 + 1},{at_ms},{'true' if sold else 'false'}"


def raw_rows(path: Path) -> list[Row]:
    with columns_of(archive_source(path)) as columns:
        return list(columns.rows())


# -- one row of every data set ------------------------------------------------------------------------------------------

SAMPLES = {
    "klines": (
        CANDLE,
        {"open_ms": T0, "close_ms": T0 + 59_999, "high": 4233580000000, "quote_volume": 122561552725, "trades": 3310},
    ),
    "markPriceKlines": (
        f"{T0},42310.5,42330.1,42290.12345678,42331.9,0,{T0 + 59_999},0,60,0,0,0",
        {"open_ms": T0, "low": 4229012345678, "close": 4233190000000},
    ),
    "indexPriceKlines": (f"{T0},42310.5,42330.1,42290,42331.9,0,{T0 + 59_999},0,60,0,0,0", {"open": 4231050000000}),
    "premiumIndexKlines": (
        f"{T0},0.00075030,0.00206526,-0.00018479,-1e-7,0,{T0 + 59_999},0,12,0,0,0",
        {"high": 206526, "low": -18479, "close": -10},
    ),
    "aggTrades": (
        trade(7, sold=True),
        {"id": 7, "time_ms": T0, "price": 2922300000000, "quantity": 63900000, "last_trade_id": 15, "buyer_is_maker": 1},
    ),
    "trades": (f"11,0.07001,1500,105.015,{T0},false", {"id": 11, "price": 7001000, "quantity": 150000000000, "buyer_is_maker": 0}),
    "bookTicker": (
        f"3831603310013,2474.30,6.009,2474.31,44.757,{T0},{T0 + 5}",
        {"update_id": 3831603310013, "time_ms": T0 + 5, "transaction_ms": T0, "bid": 247430000000, "ask_quantity": 4475700000},
    ),
    "bookDepth": (
        "2024-01-01 00:00:09,-0.20,1041.227,44070218.5123",
        {"time_ms": T0 + 9_000, "percent": -20, "quantity": 104122700000, "notional": 440702185123},
    ),
    "fundingRate": (f"{T0 + 3},8,0.00005703", {"funding_ms": T0, "written_ms": T0 + 3, "interval_hours": 8, "rate": 5703}),
    "metrics": (
        "2024-01-01 00:05:00,BTCUSDT,80793.3430000000000000,8458277452.5717250000000000,1.28623339,1.471124,,1.558272",
        {"known_ms": T0 + FIVE, "label_ms": T0 + FIVE, "open_interest": 80793343, "open_interest_value": 8458277452571725},
    ),
}


def named(folder: Path, data_set: str, form: str) -> Path:
    name = "BTCUSDT-1m-2024-01-01" if data_set.endswith("lines") else f"BTCUSDT-{data_set}-2024-01-01"
    return folder / data_set / f"{name}{form}"


@pytest.mark.parametrize("form", [".csv", ".zip", ".csv.gz"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("data_set", DATA_SETS)
def test_a_row_of_every_data_set(data_set: str, header: bool, form: str, tmp_path: Path) -> None:
    row, expected = SAMPLES[data_set]
    names = ",".join(DATA_SETS[data_set].order) if header else ""
    (found,), told = read(written(named(tmp_path, data_set, form), [row], names))
    assert (expected.items() <= found.items(), told) == (True, {}), found


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    with columns_of(archive_source(written(named(tmp_path, "klines", ".csv"), [CANDLE]))) as columns:
        assert [columns.digits(name) for name in ("open", "volume", "quote_volume")] == [8, 3, 4]
        assert columns.labels["interval"] == "1m"


def test_a_month_of_a_large_market_fits(tmp_path: Path) -> None:
    """One billion times a thousand dollars and five digits: a fixed scale of 8 digits would not hold it."""
    row = f"{T0},42314,42335,42289,42331,31234567.641,{T0 + 1},1312256155272.50001,3310,1,2.5,0"
    (found,), _ = read(written(tmp_path / "BTCUSDT-1mo-2024-01.csv", [row]))
    assert found["quote_volume"] == 131225615527250001


def test_a_field_that_is_empty_is_none(tmp_path: Path) -> None:
    (found,), _ = read(written(named(tmp_path, "metrics", ".csv"), [SAMPLES["metrics"][0]]))
    assert (found["accounts_ratio"], found["taker_volume_ratio"]) == (NONE, 1558272)


# -- events -------------------------------------------------------------------------------------------------------------


def test_events_of_trades_and_prices(tmp_path: Path) -> None:
    agg, single, best = (named(tmp_path, data_set, ".csv") for data_set in ("aggTrades", "trades", "bookTicker"))
    with columns_of(archive_source(written(agg, [trade(7, sold=True)], AGG_TRADES))) as columns:
        at = T0 * 1_000_000, T0, 7
        assert [*events_of(columns)] == [
            TradePrinted("BTCUSDT", *at, Decimal(29223), Decimal("0.639"), Side.SELL, T0, aggregated=True)
        ]
    with columns_of(archive_source(written(single, [SAMPLES["trades"][0]]))) as columns:
        at = T0 * 1_000_000, T0, 11
        assert [*events_of(columns)] == [
            TradePrinted("BTCUSDT", *at, Decimal("0.07001"), Decimal(1500), Side.BUY, T0, aggregated=False)
        ]
    with columns_of(archive_source(written(best, [SAMPLES["bookTicker"][0]], BOOK_TICKER))) as columns:
        prices = map(Decimal, ("2474.3", "6.009", "2474.31", "44.757"))
        assert [*events_of(columns)] == [BestPriceChanged("BTCUSDT", (T0 + 5) * 1_000_000, T0 + 5, 3831603310013, *prices)]


def test_a_candle_is_told_when_it_has_closed(tmp_path: Path) -> None:
    with columns_of(archive_source(written(named(tmp_path, "klines", ".csv"), [CANDLE], KLINES))) as columns:
        (candle,) = events_of(columns)
    assert isinstance(candle, CandleChanged)
    assert (candle.at_ns, candle.close_ms, candle.interval, candle.closed) == ((T0 + 60_000) * 1_000_000, T0 + 59_999, "1m", True)
    assert (candle.quote_volume, candle.taker_buy_volume) == (Decimal("12256155.2725"), Decimal("175.211"))


def test_no_event_is_told_before_the_one_ahead(tmp_path: Path) -> None:
    path = written(named(tmp_path, "aggTrades", ".csv"), [trade(1, T0 + 9), trade(2, T0 + 4), trade(3, T0 + 10)])
    with columns_of(archive_source(path)) as columns:
        assert [event.at_ns // 1_000_000 - T0 for event in events_of(columns)] == [9, 9, 10]
        assert columns.told == (Finding("time", 1, "id 2 is 5 earlier than the row before it"),)


def test_what_no_strategy_is_told_is_refused(tmp_path: Path) -> None:
    with (
        columns_of(archive_source(written(named(tmp_path, "metrics", ".csv"), [SAMPLES["metrics"][0]]))) as columns,
        pytest.raises(ConfigError, match="metrics gives columns, not events"),
    ):
        next(events_of(columns))


# -- traps --------------------------------------------------------------------------------------------------------------


def test_two_ranges_interleaved_are_sorted_by_id(tmp_path: Path) -> None:
    """As in the months of 2023: every other row is of the end of the month."""
    rows = [trade(number, T0 + number) for pair in zip(range(100, 103), range(900, 903), strict=True) for number in pair]
    found, told = read(written(named(tmp_path, "aggTrades", ".zip"), rows, AGG_TRADES))
    assert [row["id"] for row in found] == [100, 101, 102, 900, 901, 902]
    assert {rule: case.count for rule, case in told.items()} == {"disorder": 2, "hole": 797}
    assert told["disorder"].text == "id 101 is row 3 and comes after one that it should precede"
    assert told["hole"].text == "id 900 comes after 797 that are missing"


def test_days_of_best_prices_are_interleaved_too(tmp_path: Path) -> None:
    rows = [f"{number},1,1,2,1,{T0 + number},{T0 + number}" for number in (10, 90, 13, 95, 14)]
    found, told = read(written(named(tmp_path, "bookTicker", ".zip"), rows, BOOK_TICKER))
    assert [row["update_id"] for row in found] == [10, 13, 14, 90, 95]
    assert list(told) == ["disorder"]  # update ids have holes by their nature


@pytest.mark.parametrize("off", [0, 1, 3, 14, -2])
def test_funding_times_are_rounded_to_the_hour(off: int, tmp_path: Path) -> None:
    (found,), _ = read(written(named(tmp_path, "fundingRate", ".csv"), [f"{T0 + off},8,-0.0001"]))
    assert (found["funding_ms"], found["written_ms"], found["rate"]) == (T0, T0 + off, -1)


def test_a_funding_time_far_off_the_hour_is_refused(tmp_path: Path) -> None:
    path = written(named(tmp_path, "fundingRate", ".csv"), [f"{T0},8,0.0001", f"{T0 + 1_800_000},8,0.0001"])
    with pytest.raises(ConfigError, match=r":2: calc_time: a funding time 1800000 ms off the full hour"):
        read(path)


def metrics_day(folder: Path, day: str, labels: list[str]) -> Path:
    rows = [f"{label},BTCUSDT,{number},2,1,1,1,1" for number, label in enumerate(labels, 1)]
    return written(folder / f"BTCUSDT-metrics-{day}.csv", rows, METRICS)


def test_metrics_are_known_at_the_end_of_their_period(tmp_path: Path) -> None:
    """The last label of the last old day and the first of the first new one are the same text, five minutes apart."""
    old = metrics_day(tmp_path, "2026-06-24", ["2026-06-24 23:55:00", "2026-06-25 00:00:00"])
    new = metrics_day(tmp_path, "2026-06-25", ["2026-06-25 00:00:00", "2026-06-25 00:05:00"])
    midnight = utc_ms("2026-06-25 00:00:00")
    assert [row["known_ms"] - midnight for row in read(old)[0]] == [-FIVE, 0]
    assert [row["known_ms"] - midnight for row in read(new)[0]] == [FIVE, 2 * FIVE]
    assert [row["label_ms"] - midnight for row in read(new)[0]] == [0, FIVE]


def test_the_rule_of_metrics_can_be_set(tmp_path: Path) -> None:
    path = metrics_day(tmp_path, "2026-06-24", ["2026-06-24 12:00:00"])
    noon = utc_ms("2026-06-24 12:00:00")
    for labels, shift in ((MetricsLabels.BY_DATE, 0), (MetricsLabels.END, 0), (MetricsLabels.START, FIVE)):
        assert read(path, ArchiveFile(metrics_labels=labels))[0][0]["known_ms"] == noon + shift


def test_metrics_without_a_dated_name_go_by_their_rows(tmp_path: Path) -> None:
    rows = [f"2026-06-{at},X,1,1,1,1,1,1" for at in ("24 23:50:00", "25 00:00:00", "25 12:00:00")]
    path = written(tmp_path / "mine.csv", rows, METRICS)
    found, _ = read(path, ArchiveFile("metrics", "BTCUSDT"))
    assert [row["known_ms"] - row["label_ms"] for row in found] == [0, FIVE, FIVE]


def test_metrics_come_in_any_order(tmp_path: Path) -> None:
    path = metrics_day(tmp_path, "2024-01-05", ["2024-01-05 00:15:00", "2024-01-05 00:05:00"])
    found, told = read(path)
    assert [row["open_interest"] for row in found] == [2, 1]
    assert told["hole"] == Finding("hole", 1, f"known_ms {utc_ms('2024-01-05 00:15:00')} comes after 1 that are missing")


def test_a_missing_candle_is_told(tmp_path: Path) -> None:
    rows = [f"{T0 + minute * 60_000},1,1,1,1,1,{T0 + minute * 60_000 + 59_999},1,1,1,1,0" for minute in (0, 1, 4)]
    found, told = read(written(named(tmp_path, "klines", ".csv"), rows))
    assert (len(found), told["hole"].count) == (3, 2)


def test_epoch_columns_are_named_after_their_unit() -> None:
    """pandas makes datetimes of columns that end in `_time` and `_at`."""
    names = [field.column for data_set in DATA_SETS.values() for field in data_set.fields]
    assert not [name for name in names if name.endswith(("_time", "_at", "time"))]
    timed = [field for data_set in DATA_SETS.values() for field in data_set.fields if "time" in field.source]
    assert all(field.column.endswith("_ms") for field in timed)


# -- rows that repeat ---------------------------------------------------------------------------------------------------


def test_a_row_that_stands_there_twice_counts_once(tmp_path: Path) -> None:
    found, told = read(written(named(tmp_path, "aggTrades", ".csv"), [trade(1), trade(2), trade(1), trade(2)]))
    assert [row["id"] for row in found] == [1, 2]
    assert told["duplicate"] == Finding("duplicate", 2, "id 1 stands there twice; it counts once")


def test_of_two_rows_of_a_key_the_first_counts(tmp_path: Path) -> None:
    found, told = read(written(named(tmp_path, "aggTrades", ".csv"), [trade(1), trade(1, price="1.5"), trade(2)]))
    assert [row["price"] for row in found] == [2922300000000, 2922300000000]
    assert told["conflict"] == Finding("conflict", 1, "id 1 stands there again with other values; the first counts")


def test_best_prices_of_one_update_may_differ(tmp_path: Path) -> None:
    rows = [f"10,1,{quantity},2,1,{T0},{T0}" for quantity in (1, 2, 1)]
    found, told = read(written(named(tmp_path, "bookTicker", ".csv"), rows))
    assert ([row["bid_quantity"] for row in found], list(told)) == ([100000000, 200000000], ["duplicate"])


# -- what is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (trade(2, price="12x"), ":3: price: not a number: '12x'"),
        (trade(2, price="nan"), ":3: price: not a number: 'nan'"),
        (trade(2, price=""), ":3: price: not a number: ''"),
        (trade(2, price="0.123456789"), ":3: price: '0.123456789' has 9 digits behind the point; 8 are kept"),
        (trade(2, quantity="1e12"), ":3: quantity: '1e12' is too large for 64 bits with 8 digits behind the point"),
        (trade(2, T0 * 1000), f":3: transact_time: {T0 * 1000} is a time in microseconds"),
        (trade(2, 17), ":3: transact_time: not a time in epoch milliseconds: '17'"),
        (trade(2).replace("false", "maybe"), ":3: is_buyer_maker: neither true nor false: 'maybe'"),
        (trade(2).replace("2,", "2_0,", 1), ":3: agg_trade_id: not a whole number: '2_0'"),
        ("2,29223.0,0.6", ":3: 3 fields, where the file has 7: the line is cut, or not of this file"),
        ("2,29223.0,0.6é", ":3: no file of aggTrades has a line like "),
    ],
)
def test_a_bad_row_is_one_line(row: str, said: str, tmp_path: Path) -> None:
    path = written(named(tmp_path, "aggTrades", ".csv"), [trade(1), row], AGG_TRADES)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}{said}")
    assert "\n" not in str(caught.value)


def test_a_number_is_bad_in_the_first_reading_too(tmp_path: Path) -> None:
    path = written(named(tmp_path, "klines", ".csv"), [CANDLE, CANDLE.replace("289.641", "much")])
    with pytest.raises(ConfigError, match=r":2: volume: not a number: 'much'"):
        archive_source(path)


def test_a_file_of_another_data_set_is_refused(tmp_path: Path) -> None:
    path = written(named(tmp_path, "aggTrades", ".csv"), [CANDLE], KLINES)
    with pytest.raises(ConfigError, match=r":1: not a file of aggTrades: its first line names no agg_trade_id"):
        read(path)


def test_a_zip_with_two_files_is_refused(tmp_path: Path) -> None:
    path = named(tmp_path, "aggTrades", ".zip")
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a.csv", trade(1))
        packed.writestr("b.csv", trade(2))
    with pytest.raises(ConfigError, match="2 files in it; a zip with one is read"):
        read(path)


def test_a_damaged_zip_is_one_line(tmp_path: Path) -> None:
    path = written(named(tmp_path, "aggTrades", ".zip"), [trade(number) for number in range(50)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(ConfigError, match="the zip is damaged"):
        read(path)
    path.write_bytes(whole[:60] + bytes(20) + whole[80:])
    with pytest.raises(ConfigError, match="damaged"):
        read(path)


def test_a_cut_gzip_is_refused(tmp_path: Path) -> None:
    path = written(named(tmp_path, "aggTrades", ".csv.gz"), [trade(number) for number in range(500)])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ConfigError, match=r"\d+: the compressed file was cut off here; get the file again"):
        read(path)


def test_a_file_without_rows_has_none(tmp_path: Path) -> None:
    for header in (AGG_TRADES, ""):
        assert read(written(named(tmp_path, "aggTrades", ".csv"), [], header)) == ([], {})


def test_windows_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = named(tmp_path, "aggTrades", ".csv")
    path.parent.mkdir()
    path.write_bytes(b"\xef\xbb\xbf" + f"{AGG_TRADES}\r\n{trade(1)}\r\n".encode())
    assert [row["id"] for row in read(path)[0]] == [1]


# -- names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BTCUSDT-aggTrades-2024-02.zip", ("BTCUSDT", "aggTrades", "", date(2024, 2, 1), date(2024, 2, 29))),
        ("1000SHIBUSDT-metrics-2024-02-03.csv", ("1000SHIBUSDT", "metrics", "", date(2024, 2, 3), date(2024, 2, 3))),
        ("BTCUSDT_240329-1mo-2024-02.csv.gz", ("BTCUSDT_240329", "klines", "1mo", date(2024, 2, 1), date(2024, 2, 29))),
        (
            "markPriceKlines/BTCUSDT/1m/BTCUSDT-1m-2024-02-03.zip",
            ("BTCUSDT", "markPriceKlines", "1m", date(2024, 2, 3), date(2024, 2, 3)),
        ),
    ],
)
def test_what_a_name_says(name: str, expected: tuple[str, str, str, date, date]) -> None:
    found = archive_name(Path(name))
    assert found is not None
    assert (found.symbol, found.data_set, found.interval, found.first, found.last) == expected


@pytest.mark.parametrize(
    "name", ["BTCUSDT-aggTrades-2024-13.zip", "BTCUSDT-orders-2024-01.zip", "trades.csv", "BTCUSDT-1m-2024-01.txt"]
)
def test_a_name_that_says_nothing(name: str) -> None:
    assert archive_name(Path(name)) is None


def test_a_file_of_any_name_is_read_when_told_what_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.csv", [CANDLE])
    assert read(path, ArchiveFile("premiumIndexKlines", "ETHUSDT", "1m"))[0][0]["open_ms"] == T0
    for said, missing in (
        (ArchiveFile(), "says no data set of the archive; give it with --as"),
        (ArchiveFile("orders"), "'orders' is not a data set of the archive"),
        (ArchiveFile("trades"), "says no symbol; give it with --symbol"),
        (ArchiveFile("klines", "ETHUSDT", "7m"), "'7m' is not an interval of candles"),
    ):
        with pytest.raises(ConfigError, match=missing):
            archive_source(path, said)
