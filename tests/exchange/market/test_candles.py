"""Candles of every interval against a naive reckoning, and the rolling day."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.enums import INTERVALS
from coldframe.exchange.market.candles import Candle, Candles, bounds

NOW = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC, a Tuesday


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("1m", "2023-11-14T22:13:00", "2023-11-14T22:14:00"),
        ("15m", "2023-11-14T22:00:00", "2023-11-14T22:15:00"),
        ("4h", "2023-11-14T20:00:00", "2023-11-15T00:00:00"),
        ("1d", "2023-11-14T00:00:00", "2023-11-15T00:00:00"),
        ("1w", "2023-11-13T00:00:00", "2023-11-20T00:00:00"),
        ("1M", "2023-11-01T00:00:00", "2023-12-01T00:00:00"),
    ],
)
def test_bounds(interval: str, start: str, end: str) -> None:
    assert bounds(interval, NOW) == (_at(start), _at(end) - 1)


def test_december_ends_in_january() -> None:
    assert bounds("1M", _at("2023-12-31T23:59:59")) == (_at("2023-12-01T00:00:00"), _at("2024-01-01T00:00:00") - 1)


@given(st.integers(0, 253_402_300_799_999))
def test_a_month_is_that_of_the_calendar(at_ms: int) -> None:
    """From 1970 to 9999, against the calendar of the standard library."""
    first = datetime.fromtimestamp(at_ms // 1000, UTC).replace(day=1, hour=0, minute=0, second=0)
    start, end = bounds("1M", at_ms)
    assert start == first.timestamp() * 1000
    assert datetime.fromtimestamp(end // 1000, UTC).month == first.month
    assert bounds("1M", end + 1)[0] == end + 1


@pytest.mark.parametrize(
    ("day", "start", "end"),
    [
        ("2024-02-29T12:00:00", "2024-02-01T00:00:00", "2024-03-01T00:00:00"),
        ("2100-02-28T12:00:00", "2100-02-01T00:00:00", "2100-03-01T00:00:00"),
        ("2000-03-01T00:00:00", "2000-03-01T00:00:00", "2000-04-01T00:00:00"),
    ],
)
def test_months_round_a_leap_day(day: str, start: str, end: str) -> None:
    assert bounds("1M", _at(day)) == (_at(start), _at(end) - 1)


@pytest.mark.parametrize("interval", INTERVALS)
@given(st.integers(0, 4_000_000_000_000))
def test_every_moment_lies_in_exactly_one_candle(interval: str, at_ms: int) -> None:
    start, end = bounds(interval, at_ms)
    assert start <= at_ms <= end
    assert bounds(interval, start) == bounds(interval, end) == (start, end)
    assert bounds(interval, end + 1)[0] == end + 1


_TRADES = st.lists(
    st.tuples(st.integers(1, 200_000), st.integers(90, 110), st.integers(1, 9), st.booleans()), min_size=1, max_size=40
)


@given(_TRADES, st.sampled_from(["1m", "5m", "1h", "1d"]))
def test_a_page_equals_what_the_trades_say(steps: list[tuple[int, int, int, bool]], interval: str) -> None:
    candles, at_ms = Candles(), NOW
    groups: dict[int, list[tuple[int, int, int, bool]]] = {}
    candles.watch(interval)
    for trade_id, (later, price, quantity, buys) in enumerate(steps, start=1):
        at_ms += later
        candles.trade(trade_id, at_ms, price, quantity, taker_buys=buys)
        groups.setdefault(bounds(interval, at_ms)[0], []).append((trade_id, price, quantity, buys))
        watched = candles.watch(interval)
        assert watched is not None
        assert watched.close == price
    page = candles.page(interval, 1000)
    assert [bar.open_ms for bar in page] == list(groups)
    for bar, trades in zip(page, groups.values(), strict=True):
        prices = [trade[1] for trade in trades]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert (bar.first_id, bar.last_id, bar.trades) == (trades[0][0], trades[-1][0], len(trades))
        assert bar.volume == sum(trade[2] for trade in trades)
        assert bar.quote == sum(trade[1] * trade[2] for trade in trades)
        assert bar.taker_volume == sum(trade[2] for trade in trades if trade[3])
    assert candles.watch(interval) == page[-1]


def test_pages_begin_at_a_time_or_end_with_the_latest() -> None:
    candles = Candles()
    for minute in range(10):
        candles.trade(minute, NOW + minute * 60_000, 100 + minute, 1, taker_buys=True)
    assert [bar.close for bar in candles.page("1m", 2)] == [108, 109]
    start = bounds("1m", NOW)[0]
    assert [bar.close for bar in candles.page("1m", 2, start + 60_000)] == [101, 102]
    assert [bar.close for bar in candles.page("1m", 9, start, start + 60_000)] == [100, 101]


def test_the_day_forgets_what_is_older() -> None:
    candles = Candles()
    candles.seed(lambda: [Candle(NOW - 25 * 3_600_000, NOW - 25 * 3_600_000 + 59_999, 1, 1, 999, 999, 999, 999, 5, 5, 1, 1, 1)])
    candles.trade(2, NOW, 100, 1, taker_buys=True)
    candles.trade(3, NOW + 60_000, 90, 2, taker_buys=False)
    day = candles.day(NOW + 120_000)
    assert day is not None
    assert (day.open, day.high, day.low, day.close, day.volume, day.trades) == (100, 100, 90, 90, 3, 2)


@pytest.mark.parametrize("bars", [0, 1, 3, 1500])
@pytest.mark.parametrize("trades", [0, 1, 2])
def test_a_past_is_the_same_whenever_it_is_made(bars: int, trades: int) -> None:
    """It is made once, when a client asks: a bot that never does pays nothing for it."""
    made: list[int] = []

    def past() -> list[Candle]:
        made.append(bars)
        starts = [bounds("1m", NOW)[0] - number * 60_000 for number in range(bars, 0, -1)]
        return [Candle(at, at + 59_999, 1, 1, 9, 9, 9, 9) for at in starts]

    early, late = Candles(), Candles()
    early.seed(past)
    late.seed(past)
    early.page("1m", 1)
    assert made == [bars]
    for candles in (early, late):
        for number in range(trades):
            candles.trade(number, NOW + number * 60_000, 100, 1, taker_buys=True)
    assert made == [bars]
    assert late.watch("1m") == early.watch("1m")
    assert late.page("1m", 5_000) == early.page("1m", 5_000)
    assert len(late.page("1m", 5_000)) == min(bars + trades, 1_500)
    assert late.day(NOW) == early.day(NOW)
    assert made == [bars, bars]
