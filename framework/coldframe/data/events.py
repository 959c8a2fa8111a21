"""Columns of vendor files as the events that a strategy is told, in order.

Nothing is told before it was known: a candle when it has closed, everything else at its own time. Files know no receive time, so
`at_ns` is the exchange's time; where that goes back although the rows are in order, `at_ns` stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Final

import attrs

from coldframe.data.columns import Columns, Row
from coldframe.data.numbers import PRICE_DIGITS, decimal_of
from coldframe.enums import Side
from coldframe.errors import ConfigError
from coldframe.model.events import BestPriceChanged, CandleChanged, StrategyEvent, TradePrinted
from coldframe.units import NS_PER_MS

#: Makes the event of a row. Its first argument is the earliest time at which it may be told.
_Tell = Callable[[int, Row], StrategyEvent]


def events_of(columns: Columns) -> Iterator[StrategyEvent]:
    """The event of every row. Raises `ConfigError` for a table whose rows no strategy is told."""
    if columns.table not in TELLERS:
        raise ConfigError(f"{columns.path}: {columns.table} gives columns, not events; events are told of {', '.join(TELLERS)}")
    tell = TELLERS[columns.table].of(columns)
    at_ns = 0
    for row in columns.rows():
        event = tell(at_ns, row)
        at_ns = event.at_ns
        yield event


@attrs.frozen
class Teller:
    """The event that the rows of a table become, and how."""

    event: type[StrategyEvent]
    of: Callable[[Columns], _Tell]


def _price(value: int) -> Decimal:
    return decimal_of(value, PRICE_DIGITS)


def _taker(buyer_is_maker: int) -> Side:
    return Side.SELL if buyer_is_maker else Side.BUY


def _agg_trades(columns: Columns) -> _Tell:
    symbol = columns.labels["symbol"]

    def tell(earliest_ns: int, row: Row) -> TradePrinted:
        trade_id, at_ms, price, quantity, _, _, buyer_is_maker = row
        at_ns = max(earliest_ns, at_ms * NS_PER_MS)
        taker = _taker(buyer_is_maker)
        return TradePrinted(symbol, at_ns, at_ms, trade_id, _price(price), _price(quantity), taker, at_ms, aggregated=True)

    return tell


def _trades(columns: Columns) -> _Tell:
    symbol = columns.labels["symbol"]

    def tell(earliest_ns: int, row: Row) -> TradePrinted:
        trade_id, at_ms, price, quantity, buyer_is_maker = row
        at_ns = max(earliest_ns, at_ms * NS_PER_MS)
        taker = _taker(buyer_is_maker)
        return TradePrinted(symbol, at_ns, at_ms, trade_id, _price(price), _price(quantity), taker, at_ms, aggregated=False)

    return tell


def _book_ticker(columns: Columns) -> _Tell:
    symbol = columns.labels["symbol"]

    def tell(earliest_ns: int, row: Row) -> BestPriceChanged:
        update_id, at_ms, _, bid, bid_quantity, ask, ask_quantity = row
        prices = _price(bid), _price(bid_quantity), _price(ask), _price(ask_quantity)
        return BestPriceChanged(symbol, max(earliest_ns, at_ms * NS_PER_MS), at_ms, update_id, *prices)

    return tell


def _klines(columns: Columns) -> _Tell:
    symbol, interval = columns.labels["symbol"], columns.labels["interval"]
    volumes = [columns.digits(name) for name in ("volume", "quote_volume", "taker_buy_volume")]

    def tell(earliest_ns: int, row: Row) -> CandleChanged:
        open_ms, close_ms, begin, high, low, end, volume, quote_volume, taker_buy, _, trades = row
        told_ms = close_ms + 1
        prices = _price(begin), _price(high), _price(low), _price(end)
        sums = decimal_of(volume, volumes[0]), decimal_of(quote_volume, volumes[1]), decimal_of(taker_buy, volumes[2])
        at_ns = max(earliest_ns, told_ms * NS_PER_MS)
        return CandleChanged(symbol, at_ns, told_ms, interval, open_ms, close_ms, *prices, *sums, trades, closed=True)

    return tell


#: The tables whose rows are told, by their names.
TELLERS: Final[Mapping[str, Teller]] = {
    "klines": Teller(CandleChanged, _klines),
    "aggTrades": Teller(TradePrinted, _agg_trades),
    "trades": Teller(TradePrinted, _trades),
    "bookTicker": Teller(BestPriceChanged, _book_ticker),
}
