"""Candles of all intervals and the rolling day, both grown from bars of one minute."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import attrs

_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 86_400_000
#: Weeks begin on Monday; the epoch began on a Thursday.
_MONDAY_MS: Final = 4 * _DAY_MS
_UNITS: Final = {"m": _MINUTE_MS, "h": 60 * _MINUTE_MS, "d": _DAY_MS}
#: Days from the 1st of March of the year 0 to the epoch, and days of the 400 years after which leap years repeat.
_EPOCH_DAYS: Final = 719_468
_CYCLE_DAYS: Final = 146_097
#: How many bars of a minute are kept: enough for the rolling day and for a page of candles.
_KEPT: Final = 1500


@attrs.define
class Candle:
    """One candle. Prices in units of 10**-12, volumes likewise, quote volumes in units of 10**-24."""

    open_ms: int
    close_ms: int
    first_id: int
    last_id: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    quote: int = 0
    taker_volume: int = 0
    taker_quote: int = 0
    trades: int = 0

    def trade(self, trade_id: int, price: int, quantity: int, *, taker_buys: bool) -> None:
        """Takes one trade."""
        self.last_id = trade_id
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
        self.volume += quantity
        self.quote += price * quantity
        self.trades += 1
        if taker_buys:
            self.taker_volume += quantity
            self.taker_quote += price * quantity

    def merge(self, later: Candle) -> None:
        """Takes a whole later bar."""
        self.last_id = later.last_id
        self.high, self.low, self.close = max(self.high, later.high), min(self.low, later.low), later.close
        self.volume += later.volume
        self.quote += later.quote
        self.taker_volume += later.taker_volume
        self.taker_quote += later.taker_quote
        self.trades += later.trades


def bounds(interval: str, at_ms: int) -> tuple[int, int]:
    """First and last millisecond of the candle that contains `at_ms`."""
    if interval == "1M":
        return _month(at_ms)
    if interval == "1w":
        start = (at_ms - _MONDAY_MS) // (7 * _DAY_MS) * (7 * _DAY_MS) + _MONDAY_MS
        return start, start + 7 * _DAY_MS - 1
    length = int(interval[:-1]) * _UNITS[interval[-1]]
    start = at_ms // length * length
    return start, start + length - 1


def _month(at_ms: int) -> tuple[int, int]:
    """The UTC month, counted from a 1st of March: the day that leap years add is then the last one of a year."""
    since_march = at_ms // _DAY_MS + _EPOCH_DAYS
    cycle, day = divmod(since_march, _CYCLE_DAYS)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    month = (5 * (day - _days_before(year)) + 2) // 153
    begins = cycle * _CYCLE_DAYS - _EPOCH_DAYS + _days_before(year)
    following = begins + (_days_before_month(month + 1) if month < 11 else _days_before(year + 1) - _days_before(year))
    return (begins + _days_before_month(month)) * _DAY_MS, following * _DAY_MS - 1


def _days_before(year: int) -> int:
    """The days of a cycle before its year number `year`; both count from 0."""
    return 365 * year + year // 4 - year // 100 + year // 400


def _days_before_month(month: int) -> int:
    """The days of a year before its month number `month`; March is number 0."""
    return (153 * month + 2) // 5


class Candles:
    """The candles of one contract."""

    def __init__(self) -> None:
        self._minutes: deque[Candle] = deque(maxlen=_KEPT)
        self._past: Callable[[], list[Candle]] | None = None
        self._watched: dict[str, Candle] = {}

    def seed(self, past: Callable[[], list[Candle]]) -> None:
        """Begins with a past, made when it is asked for: bars of one minute that end before the first trade, oldest first."""
        self._past = past

    def trade(self, trade_id: int, at_ms: int, price: int, quantity: int, *, taker_buys: bool) -> None:
        """Takes one trade into the running minute and every watched candle."""
        self._grow("1m", self._minutes[-1] if self._minutes else None, trade_id, at_ms, price, quantity, taker_buys)
        for interval, bar in self._watched.items():
            self._grow(interval, bar, trade_id, at_ms, price, quantity, taker_buys)

    def watch(self, interval: str) -> Candle | None:
        """The running candle of an interval, kept up to date from now on; None before the first trade."""
        minutes = self._known()
        if not minutes:
            return None
        if interval == "1m":
            return minutes[-1]
        if interval not in self._watched:
            self._watched[interval] = self.page(interval, 1)[-1]
        return self._watched[interval]

    def page(self, interval: str, limit: int, start_ms: int | None = None, end_ms: int | None = None) -> list[Candle]:
        """Up to `limit` candles, oldest first: from `start_ms` on, or else the latest; copies."""
        rows: list[Candle] = []
        for minute in self._known():
            first, last = bounds(interval, minute.open_ms)
            if rows and rows[-1].open_ms == first:
                rows[-1].merge(minute)
            else:
                rows.append(attrs.evolve(minute, open_ms=first, close_ms=last))
        inside = [
            row for row in rows if (start_ms is None or row.open_ms >= start_ms) and (end_ms is None or row.open_ms <= end_ms)
        ]
        return inside[:limit] if start_ms is not None else inside[-limit:]

    def day(self, now_ms: int) -> Candle | None:
        """The last 24 hours as one bar; None before the first trade."""
        whole: Candle | None = None
        for minute in self._known():
            if minute.open_ms <= now_ms - _DAY_MS:
                continue
            if whole is None:
                whole = attrs.evolve(minute, close_ms=now_ms)
            else:
                whole.merge(minute)
        return whole

    def _known(self) -> deque[Candle]:
        """The bars of a minute, with the past."""
        if self._past is not None:
            past, self._past = self._past, None
            self._minutes = deque([*past(), *self._minutes], maxlen=_KEPT)
        return self._minutes

    def _grow(
        self, interval: str, bar: Candle | None, trade_id: int, at_ms: int, price: int, quantity: int, taker_buys: bool
    ) -> None:
        if bar is None or at_ms > bar.close_ms:
            first, last = bounds(interval, at_ms)
            bar = Candle(first, last, trade_id, trade_id, price, price, price, price)
            if interval == "1m":
                self._minutes.append(bar)
            else:
                self._watched[interval] = bar
        bar.trade(trade_id, price, quantity, taker_buys=taker_buys)
