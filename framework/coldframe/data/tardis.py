"""Files of Tardis.dev: CSV with a line of names, one data type, day and symbol each, as their download names and packs them.

Source: docs.tardis.dev, "Data types". Times are microseconds; rows are in the order in which Tardis received them, so `at_ns` is
the receive time of Tardis and not of a machine of ours. Book rows carry no update ids: events are counted from 1, so that a book
made of them finds no gap. Which rows are one message of the exchange is told by their receive time alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

import attrs

from coldframe.data.arranging import DataSource, Repeats, Table
from coldframe.data.columns import Column, Finding, Row
from coldframe.data.delimited import DelimitedFile, Field
from coldframe.data.market import MARKET, Kind
from coldframe.data.numbers import NONE, flag, integer
from coldframe.errors import ConfigError

#: Levels of one message: far more than any book has.
_MOST_LEVELS: Final = 200_000
_NS_PER_US: Final = 1_000
_US_PER_MS: Final = 1_000
#: 2001 to 2286: sixteen digits.
_EPOCH_US: Final = range(10**15, 10**16)
_NAME: Final = re.compile(r"[^_]+_(?P<type>[A-Za-z_]+?(?:_L2)?)_\d{4}-\d{2}-\d{2}_(?P<symbol>.+?)\.csv(?:\.gz|\.zst)?")


def _epoch_us(text: str) -> int:
    value = integer(text)
    if value not in _EPOCH_US:
        raise ValueError(f"not a time in epoch microseconds: {text[:40]!r}")
    return value


def _ms_of_us(text: str) -> int:
    return _epoch_us(text) // _US_PER_MS


def _word(words: Mapping[str, int], text: str) -> int:
    if text not in words:
        raise ValueError(f"{text[:40]!r} is not one of {', '.join(words)}")
    return words[text]


_bid_or_ask = partial(_word, {"bid": Kind.BID.value, "ask": Kind.ASK.value})
#: The side of the taker, as 1 if the buyer is the maker.
_buyer_is_maker = partial(_word, {"buy": 0, "sell": 1})

_TIMES: Final = (Field("at_us", "local_timestamp", _epoch_us), Field("event_us", "timestamp", _epoch_us))


@attrs.frozen
class TardisType:
    """A data type: what is read, the table of ours, and how rows as read become its rows (None counts as left out)."""

    name: str
    fields: tuple[Field, ...]
    table: Table
    made: Callable[[Iterator[Row]], Iterator[Row | None]]


def _own_table(name: str, columns: tuple[Column, ...]) -> Table:
    return Table(name, (Column("at_ns"), Column("event_ms"), *columns), ("at_ns",), Repeats.KEEP)


def _book(rows: Iterator[Row]) -> Iterator[Row]:
    """Groups of rows that came at once, each with its head."""
    for number, ((at_us, whole), group) in enumerate(groupby(rows, itemgetter(0, 2)), 1):
        levels: dict[int, list[Row]] = {Kind.BID.value: [], Kind.ASK.value: []}
        for count, row in enumerate(group):
            if count >= _MOST_LEVELS:
                raise ValueError(f"more than {_MOST_LEVELS} levels came at once, which no book has")
            event_ms = row[1] // _US_PER_MS
            levels[row[3]].append((row[3], at_us * _NS_PER_US, 0, event_ms, 0, row[4], row[5], 0, 0))
        bids, asks = levels.values()
        event_ms = (bids or asks)[0][3]
        counts = len(bids), len(asks)
        if whole:
            yield Kind.SNAPSHOT.value, at_us * _NS_PER_US, 0, event_ms, number, 0, 0, *counts
        else:
            yield Kind.DEPTH.value, at_us * _NS_PER_US, 0, event_ms, number, number, number - 1, *counts
        yield from bids
        yield from asks


def _trades(rows: Iterator[Row]) -> Iterator[Row]:
    for at_us, event_us, number, buyer_is_maker, price, quantity in rows:
        head = Kind.TRADE.value, at_us * _NS_PER_US, 0, event_us // _US_PER_MS, max(number, 0)
        yield *head, price, quantity, buyer_is_maker, 0


def _quotes(rows: Iterator[Row]) -> Iterator[Row | None]:
    """A row with an empty side says that the book was empty or not known yet: no best price."""
    for at_us, event_us, *prices in rows:
        yield None if NONE in prices else (Kind.BEST.value, at_us * _NS_PER_US, 0, event_us // _US_PER_MS, 0, *prices)


def _plain(rows: Iterator[Row]) -> Iterator[Row]:
    for at_us, event_us, *values in rows:
        yield at_us * _NS_PER_US, event_us // _US_PER_MS, *values


def _prices(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, name, optional=True) for name in names)


_QUOTES: Final = (*_TIMES, *_prices("bid_price", "bid_amount", "ask_price", "ask_amount"))
_TICKER: Final = (
    Field("funding_ms", "funding_timestamp", _ms_of_us, optional=True),
    Field("funding_rate", "funding_rate", digits=None, optional=True),
    Field("predicted_funding_rate", "predicted_funding_rate", digits=None, optional=True),
    *_prices("open_interest", "last_price", "index_price", "mark_price"),
)
_LIQUIDATIONS: Final = (
    Field("id", "id", integer, optional=True),
    Field("bought", "side", partial(_word, {"buy": 1, "sell": 0})),
    Field("price", "price"),
    Field("quantity", "amount"),
)

#: Every data type that is read, by the name that Tardis gives it.
TARDIS_TYPES: Final[Mapping[str, TardisType]] = {
    made.name: made
    for made in (
        TardisType(
            "incremental_book_L2",
            (
                *_TIMES,
                Field("whole", "is_snapshot", flag),
                Field("side", "side", _bid_or_ask),
                Field("p", "price"),
                Field("q", "amount"),
            ),
            MARKET,
            _book,
        ),
        TardisType(
            "trades",
            (
                *_TIMES,
                Field("id", "id", integer, optional=True),
                Field("side", "side", _buyer_is_maker),
                Field("p", "price"),
                Field("q", "amount"),
            ),
            MARKET,
            _trades,
        ),
        TardisType("quotes", _QUOTES, MARKET, _quotes),
        TardisType("book_ticker", _QUOTES, MARKET, _quotes),
        TardisType("derivative_ticker", (*_TIMES, *_TICKER), _own_table("derivative_ticker", ()), _plain),
        TardisType("liquidations", (*_TIMES, *_LIQUIDATIONS), _own_table("liquidations", ()), _plain),
    )
}


@attrs.frozen
class TardisName:
    """What the name of a download says."""

    data_type: str
    symbol: str


def tardis_name(path: Path) -> TardisName | None:
    """What the name of a file says, as Tardis names its downloads: `binance-futures_trades_2024-01-01_BTCUSDT.csv.gz`."""
    match = _NAME.fullmatch(path.name)
    if match is None or match["type"] not in TARDIS_TYPES:
        return None
    return TardisName(match["type"], match["symbol"].upper())


def tardis_source(path: Path, data_type: str = "", symbol: str = "") -> DataSource:
    """A file of Tardis, ready to be read; type and symbol where its name does not say them.

    A file of several symbols is refused: its rows would be mixed. Raises `ConfigError` as the reader of any file does.
    """
    named = tardis_name(path)
    name = data_type or (named.data_type if named else "")
    if name not in TARDIS_TYPES:
        raise ConfigError(f"{path}: {name!r} is not a data type of Tardis that is read; there are {', '.join(TARDIS_TYPES)}")
    kind = TARDIS_TYPES[name]
    symbol = symbol or (named.symbol if named else "")
    if not symbol:
        raise ConfigError(f"{path}: the name of the file says no symbol; give it with --symbol")
    own = Field("symbol", "symbol", partial(_only, symbol))
    fields = (*kind.fields, own)
    file = DelimitedFile(path, f"Tardis file of {kind.name}", fields, ()).settled()
    table = kind.table
    if table is not MARKET:
        table = attrs.evolve(table, columns=(*table.columns, *(field.as_column() for field in file.fields[2:-1])))
    findings: list[Finding] = []
    labels = {"format": "tardis", "data_type": kind.name, "symbols" if table is MARKET else "symbol": symbol}
    return DataSource(path, table, partial(_rows, file, kind, findings), labels, findings)


def _only(symbol: str, text: str) -> int:
    if text.upper() != symbol.upper():
        raise ValueError(f"{text[:40]!r} stands in a file of {symbol}; files of several symbols are not read")
    return 0


def _rows(file: DelimitedFile, kind: TardisType, findings: list[Finding]) -> Generator[Row, None, None]:
    left_out = 0
    with closing(file.rows()) as rows:
        try:
            for row in kind.made(row[:-1] for row in rows):
                if row is None:
                    left_out += 1
                else:
                    yield row
        except ValueError as error:
            raise ConfigError(f"{file.path}: {error}") from None
    if left_out:
        findings.append(Finding("left out", left_out, f"{left_out} rows with an empty side"))
