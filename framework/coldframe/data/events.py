"""Columns of vendor files as the events that a strategy is told, in order.

Nothing is told before it was known: a candle when it has closed, everything else at its own time. Files know no receive time, so
`at_ns` is the exchange's time; where that goes back although the rows are in order, `at_ns` stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Final

import attrs

from coldframe.data.columns import Described, Row
from coldframe.data.market import MARKET, Kind
from coldframe.data.numbers import NONE, PRICE_DIGITS, decimal_of
from coldframe.enums import Side
from coldframe.errors import ConfigError
from coldframe.model.events import (
    BestPriceChanged,
    CandleChanged,
    LiquidationPrinted,
    MarkPriceChanged,
    StrategyEvent,
    TradePrinted,
)
from coldframe.units import NS_PER_MS

#: Makes the event of a row, if it has one. Its first argument is the earliest time at which it may be told.
_Tell = Callable[[int, Row], StrategyEvent | None]


def events_of(columns: Described) -> Iterator[StrategyEvent]:
    """The events of the rows, in order. Raises `ConfigError` for a table whose rows no strategy is told."""
    if columns.table not in TELLERS:
        raise ConfigError(f"{columns.path}: {columns.table} gives columns, not events; events are told of {', '.join(TELLERS)}")
    tell = TELLERS[columns.table].of(columns)
    at_ns = 0
    for row in columns.rows():
        event = tell(at_ns, row)
        if event is not None:
            at_ns = event.at_ns
            yield event


@attrs.frozen
class Teller:
    """The events that the rows of a table become, and how."""

    events: tuple[type[StrategyEvent], ...]
    of: Callable[[Described], _Tell]


def _price(value: int) -> Decimal:
    return decimal_of(value, PRICE_DIGITS)


def _taker(buyer_is_maker: int) -> Side:
    return Side.SELL if buyer_is_maker else Side.BUY


def _agg_trades(columns: Described) -> _Tell:
    symbol = columns.labels["symbol"]

    def tell(earliest_ns: int, row: Row) -> TradePrinted:
        trade_id, at_ms, price, quantity, _, _, buyer_is_maker = row
        return _printed(symbol, earliest_ns, (trade_id, at_ms, price, quantity, buyer_is_maker), aggregated=True)

    return tell


def _trades(columns: Described) -> _Tell:
    symbol = columns.labels["symbol"]
    return lambda earliest_ns, row: _printed(symbol, earliest_ns, row, aggregated=False)


def _printed(symbol: str, earliest_ns: int, row: Row, *, aggregated: bool) -> TradePrinted:
    trade_id, at_ms, price, quantity, buyer_is_maker = row
    at_ns, taker = max(earliest_ns, at_ms * NS_PER_MS), _taker(buyer_is_maker)
    return TradePrinted(symbol, at_ns, at_ms, trade_id, _price(price), _price(quantity), taker, at_ms, aggregated=aggregated)


def _book_ticker(columns: Described) -> _Tell:
    symbol = columns.labels["symbol"]

    def tell(earliest_ns: int, row: Row) -> BestPriceChanged:
        update_id, at_ms, _, bid, bid_quantity, ask, ask_quantity = row
        prices = _price(bid), _price(bid_quantity), _price(ask), _price(ask_quantity)
        return BestPriceChanged(symbol, max(earliest_ns, at_ms * NS_PER_MS), at_ms, update_id, *prices)

    return tell


def _klines(columns: Described) -> _Tell:
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


def _market(columns: Described) -> _Tell:
    """Rows of books have no event of their own: a book is told when it has taken all of them."""
    symbols = columns.labels["symbols"].split(",")

    def tell(earliest_ns: int, row: Row) -> StrategyEvent | None:
        kind, at_ns, place, event_ms, number, price, quantity, price_2, quantity_2 = row
        symbol, at_ns = symbols[place], max(earliest_ns, at_ns)
        match kind:
            case Kind.BEST:
                prices = _price(price), _price(quantity), _price(price_2), _price(quantity_2)
                return BestPriceChanged(symbol, at_ns, event_ms, number, *prices)
            case Kind.TRADE:
                trade = _price(price), _price(quantity), _taker(price_2)
                return TradePrinted(symbol, at_ns, event_ms, number, *trade, event_ms, aggregated=bool(quantity_2))
            case Kind.MARK:
                rate = Decimal(0) if price_2 == NONE else _price(price_2)
                return MarkPriceChanged(symbol, at_ns, event_ms, _price(price), _price(quantity), rate, quantity_2)
            case _:
                return None  # a level, or the head of a book event

    return tell


def _derivative_ticker(columns: Described) -> _Tell:
    symbol, rate_digits = columns.labels["symbol"], columns.digits("funding_rate")

    def tell(earliest_ns: int, row: Row) -> MarkPriceChanged | None:
        at_ns, event_ms, funding_ms, rate, _, _, _, index, mark = row
        if NONE in (rate, index, mark):
            return None  # not known yet, or the exchange has none
        numbers = _price(mark), _price(index), decimal_of(rate, rate_digits)
        return MarkPriceChanged(symbol, max(earliest_ns, at_ns), event_ms, *numbers, max(funding_ms, 0))

    return tell


def _liquidations(columns: Described) -> _Tell:
    symbol = columns.labels["symbol"]

    def tell(earliest_ns: int, row: Row) -> LiquidationPrinted:
        at_ns, event_ms, _, bought, price, quantity = row
        side, prices, sizes = Side.BUY if bought else Side.SELL, (_price(price),) * 2, (_price(quantity),) * 2
        return LiquidationPrinted(symbol, max(earliest_ns, at_ns), event_ms, side, *prices, *sizes, status="")

    return tell


#: The tables whose rows are told, by their names.
TELLERS: Final[Mapping[str, Teller]] = {
    "klines": Teller((CandleChanged,), _klines),
    "aggTrades": Teller((TradePrinted,), _agg_trades),
    "trades": Teller((TradePrinted,), _trades),
    "derivative_ticker": Teller((MarkPriceChanged,), _derivative_ticker),
    "liquidations": Teller((LiquidationPrinted,), _liquidations),
    "bookTicker": Teller((BestPriceChanged,), _book_ticker),
    MARKET.name: Teller((BestPriceChanged, TradePrinted, MarkPriceChanged), _market),
}
