"""The data sets of the archive: what stands in their files, and which table of ours each becomes.

Sources: the exchange's own description of its archive, and files and reports of its users; what is not confirmed is marked so in
docs/data.md. Epoch times are columns named `*_ms`; numbers are integers in units of 10**-digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from coldframe.data.arranging import Repeats, Table
from coldframe.data.delimited import Field
from coldframe.data.numbers import HOUR_MS, epoch_ms, flag, integer, utc_ms

#: How far a funding time may lie off the full hour. Files show a few milliseconds.
_FUNDING_OFF_MS: Final = 60_000


@attrs.frozen
class DataSet:
    """A data set: its fields in the order of files without a line of names, what is read of them, and the rules of its rows."""

    name: str
    order: tuple[str, ...]
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    time: str
    repeats: Repeats = Repeats.DROP_SAME_KEY
    step: int = 0

    def table(self, fields: tuple[Field, ...], step: int = 0) -> Table:
        """Our table, once the digits of the fields are known. `step` is that of a file, where its rows have one of their own."""
        return Table(self.name, tuple(field.as_column() for field in fields), self.key, self.repeats, self.time, step or self.step)


def funding_ms(text: str) -> int:
    """The full hour of a funding time. Files have it late by some milliseconds, which no join would survive."""
    value = epoch_ms(text)
    hour = (value + HOUR_MS // 2) // HOUR_MS * HOUR_MS
    if abs(value - hour) > _FUNDING_OFF_MS:
        raise ValueError(f"a funding time {abs(value - hour)} ms off the full hour: {text[:40]!r}")
    return hour


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_CANDLE_ORDER: Final = _words(
    "open_time open high low close volume close_time quote_volume count taker_buy_volume taker_buy_quote_volume ignore"
)
_PRICES: Final = (
    Field("open_ms", "open_time", epoch_ms),
    Field("close_ms", "close_time", epoch_ms),
    *(Field(name, name) for name in ("open", "high", "low", "close")),
)
_VOLUMES: Final = (
    Field("volume", "volume", digits=None),
    Field("quote_volume", "quote_volume", digits=None),
    Field("taker_buy_volume", "taker_buy_volume", digits=None),
    Field("taker_buy_quote_volume", "taker_buy_quote_volume", digits=None),
    Field("trades", "count", integer),
)
_OF_A_PRICE: Final = tuple(
    DataSet(name, _CANDLE_ORDER, _PRICES, ("open_ms",), "open_ms")
    for name in ("markPriceKlines", "indexPriceKlines", "premiumIndexKlines")
)

_AGG_TRADES: Final = DataSet(
    "aggTrades",
    _words("agg_trade_id price quantity first_trade_id last_trade_id transact_time is_buyer_maker"),
    (
        Field("id", "agg_trade_id", integer),
        Field("time_ms", "transact_time", epoch_ms),
        Field("price", "price"),
        Field("quantity", "quantity"),
        Field("first_trade_id", "first_trade_id", integer),
        Field("last_trade_id", "last_trade_id", integer),
        Field("buyer_is_maker", "is_buyer_maker", flag),
    ),
    ("id",),
    "time_ms",
    step=1,
)
_TRADES: Final = DataSet(
    "trades",
    _words("id price qty quote_qty time is_buyer_maker"),
    (
        Field("id", "id", integer),
        Field("time_ms", "time", epoch_ms),
        Field("price", "price"),
        Field("quantity", "qty"),
        Field("buyer_is_maker", "is_buyer_maker", flag),
    ),
    ("id",),
    "time_ms",
    step=1,
)
_BOOK_TICKER: Final = DataSet(
    "bookTicker",
    _words("update_id best_bid_price best_bid_qty best_ask_price best_ask_qty transaction_time event_time"),
    (
        Field("update_id", "update_id", integer),
        Field("time_ms", "event_time", epoch_ms),
        Field("transaction_ms", "transaction_time", epoch_ms),
        Field("bid", "best_bid_price"),
        Field("bid_quantity", "best_bid_qty"),
        Field("ask", "best_ask_price"),
        Field("ask_quantity", "best_ask_qty"),
    ),
    ("update_id",),
    "time_ms",
    Repeats.DROP_EQUAL,
)
_BOOK_DEPTH: Final = DataSet(
    "bookDepth",
    _words("timestamp percentage depth notional"),
    (
        Field("time_ms", "timestamp", utc_ms),
        Field("percent", "percentage", digits=2),
        Field("quantity", "depth"),
        Field("notional", "notional", digits=None),
    ),
    ("time_ms", "percent"),
    "time_ms",
)
_FUNDING_RATE: Final = DataSet(
    "fundingRate",
    _words("calc_time funding_interval_hours last_funding_rate"),
    (
        Field("funding_ms", "calc_time", funding_ms),
        Field("written_ms", "calc_time", epoch_ms),
        Field("interval_hours", "funding_interval_hours", integer),
        Field("rate", "last_funding_rate", digits=None),
    ),
    ("funding_ms",),
    "funding_ms",
)
_METRICS: Final = DataSet(
    "metrics",
    _words(
        "create_time symbol sum_open_interest sum_open_interest_value count_toptrader_long_short_ratio"
        " sum_toptrader_long_short_ratio count_long_short_ratio sum_taker_long_short_vol_ratio"
    ),
    (
        Field("known_ms", "create_time", utc_ms),
        Field("label_ms", "create_time", utc_ms),
        Field("open_interest", "sum_open_interest", digits=None, optional=True),
        Field("open_interest_value", "sum_open_interest_value", digits=None, optional=True),
        Field("top_accounts_ratio", "count_toptrader_long_short_ratio", digits=None, optional=True),
        Field("top_positions_ratio", "sum_toptrader_long_short_ratio", digits=None, optional=True),
        Field("accounts_ratio", "count_long_short_ratio", digits=None, optional=True),
        Field("taker_volume_ratio", "sum_taker_long_short_vol_ratio", digits=None, optional=True),
    ),
    ("known_ms",),
    "known_ms",
    step=300_000,
)

#: Every data set by the name that the archive gives it.
DATA_SETS: Final[Mapping[str, DataSet]] = {
    data_set.name: data_set
    for data_set in (
        DataSet("klines", _CANDLE_ORDER, (*_PRICES, *_VOLUMES), ("open_ms",), "open_ms"),
        *_OF_A_PRICE,
        _AGG_TRADES,
        _TRADES,
        _BOOK_TICKER,
        _BOOK_DEPTH,
        _FUNDING_RATE,
        _METRICS,
    )
}
