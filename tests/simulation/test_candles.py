"""Closed candles of a run: those that its streams have told, and no others."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from coldframe import CandleChanged, Side, View, hookimpl
from tests.simulation.pump import Pump, Trader

SYMBOL = "BTCUSDT"
MINUTE_MS = 60_000


class Chartist:
    """Notes which minutes its view knows at each candle that is told as closed."""

    def __init__(self) -> None:
        self.known: list[list[int]] = []
        self.began: list[int] = []

    @hookimpl
    def on_start(self, view: View) -> None:
        self.began = [candle.open_ms // MINUTE_MS for candle in view.candles(SYMBOL, "1m")]

    @hookimpl
    def on_candle(self, event: CandleChanged, view: View) -> None:
        if event.closed:
            candles = view.candles(SYMBOL, "1m")
            assert candles[-1] == event
            assert not any(candle.warmup for candle in candles)
            self.known.append([candle.open_ms // MINUTE_MS for candle in candles])


def world() -> tuple[Pump, list[Chartist]]:
    lives: list[Chartist] = []

    def make() -> Chartist:
        lives.append(Chartist())
        return lives[-1]

    return Pump([Trader(id="mm", make=make)], channels=("depth@100ms", "markPrice@1s", "kline_1m")), lives


def run(pump: Pump, minutes: int) -> None:
    """Lets minutes pass in each of which something trades."""
    for _ in range(minutes * 6):
        pump.market.trade(SYMBOL, Side.BUY, Decimal("0.001"), Decimal(10**6))
        pump.run(10)


def steps(known: list[int]) -> set[int]:
    return {after - before for before, after in pairwise(known)}


def test_minutes_gather_in_a_run_and_begin_anew_with_the_next() -> None:
    pump, lives = world()
    run(pump, 4)
    (first,) = lives
    assert first.began == []
    assert [len(known) for known in first.known] == [1, 2, 3, 4][: len(first.known)]
    assert len(first.known) >= 3
    assert steps(first.known[-1]) == {1}
    pump.restart()
    run(pump, 2)
    second = lives[1]
    assert second.began == []  # what was told before is not history of this run
    assert second.known[-1][0] > first.known[-1][-1]


def test_a_minute_that_closes_while_away_is_missing() -> None:
    pump, (*_, chartist) = world()
    run(pump, 3)
    pump.venue.vanish("no route")
    run(pump, 2)
    pump.venue.unreachable, before = "", len(chartist.known)
    run(pump, 8)
    assert len(chartist.known) > before
    known = chartist.known[-1]
    assert known == sorted(set(known))
    assert max(steps(known)) > 1
