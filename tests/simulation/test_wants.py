"""Who wants less, in whole worlds: a strategy that hears everything says what another one should have been told."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from coldframe import Intent, OrderFilled, OrderType, Place, Side, View, Wants, hookimpl
from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.core.state.limits import Budget
from coldframe.core.strategies.wants import PacedEvent, prices_of
from coldframe.model.events import BookChanged
from tests.core.strategies.wantsrule import Calls, Fill, Moment, calls_of, lane_of
from tests.simulation.pump import Pump, Trader, market_of

SYMBOL = "BTCUSDT"
SETTINGS = Settings(seed=9, symbols=[SYMBOL], pace=Decimal(4))
CHANNELS = ("depth@100ms", "depth5@100ms", "aggTrade", "bookTicker", "ticker", "markPrice@1s")


class Listener:
    """Hears the market by every hook that may be told less."""

    wants = Wants()

    def look(self, event: PacedEvent, view: View) -> list[Intent]:
        raise NotImplementedError

    @hookimpl
    def on_book(self, event: PacedEvent, view: View) -> list[Intent]:
        return self.look(event, view)

    @hookimpl
    def on_trade(self, event: PacedEvent, view: View) -> list[Intent]:
        return self.look(event, view)

    @hookimpl
    def on_ticker(self, event: PacedEvent, view: View) -> list[Intent]:
        return self.look(event, view)

    @hookimpl
    def on_mark(self, event: PacedEvent, view: View) -> list[Intent]:
        return self.look(event, view)


class All(Listener):
    """Writes down every event of the market with its prices; stands before the others, so that it hears each event first."""

    def __init__(self, tale: list[Moment]) -> None:
        self.tale = tale

    def look(self, event: PacedEvent, view: View) -> list[Intent]:
        book = view.book(event.symbol)
        shown = (book.best_bid, book.best_ask) if isinstance(event, BookChanged) else prices_of(event, None)
        self.tale.append(Moment(view.now_ms, event, shown[0], shown[-1]))
        return []


class Less(Listener):
    """Wants less, trades now and then, and writes down its fills where everything stands."""

    def __init__(self, wants: Wants, tale: list[Moment]) -> None:
        self.wants, self.tale = wants, tale
        self.heard: Calls = {}

    def look(self, event: PacedEvent, view: View) -> list[Intent]:
        self.heard.setdefault(lane_of(event), []).append((view.now_ms, event))
        if not view.trading_allowed(SYMBOL) or view.random.random() < 0.8:
            return []
        side = Side.SELL if view.position(SYMBOL) > 0 else Side.BUY
        return [Place(symbol=SYMBOL, side=side, quantity=Decimal("0.002"), type=OrderType.MARKET)]

    @hookimpl
    def on_fill(self, event: OrderFilled, view: View) -> None:
        self.tale.append(Moment(view.now_ms, Fill(event.symbol)))


class World:
    """Two strategies on one market, over several lives."""

    def __init__(self, wants: Wants) -> None:
        self.tales: list[list[Moment]] = []
        self.less: list[Less] = []
        self.wants = wants
        budget = Budget(max_position=Decimal(1), max_notional=Decimal(100_000), orders_per_10s=100)
        traders = [Trader(id="all", make=self.make_all), Trader(id="less", make=self.make_less, budget=budget)]
        market: Any = market_of(SETTINGS)
        self.pump = Pump(traders, settings=SETTINGS, market=market, channels=CHANNELS, random_of=lambda _: Random(3))

    def make_all(self) -> All:
        self.tales.append([])
        return All(self.tales[-1])

    def make_less(self) -> Less:
        self.less.append(Less(self.wants, self.tales[-1]))
        return self.less[-1]


@pytest.mark.parametrize(
    "wants",
    [
        Wants(band_bps=Decimal("0.3")),
        Wants(every_ms=130),
        Wants(every_ms=333, own_fills=True),
        Wants(band_bps=Decimal("0.2"), every_ms=70, own_fills=True),
    ],
    ids=str,
)
def test_it_hears_what_the_rule_says_in_each_life(wants: Wants) -> None:
    world = World(wants)
    world.pump.run(8)
    world.pump.restart()
    world.pump.run(8)
    assert world.pump.told("muted") == []
    assert len(world.tales) == 2
    fills = 0
    for tale, less in zip(world.tales, world.less, strict=True):
        end_ms = tale[-1].ms
        heard = cut_off(less.heard, end_ms)
        assert heard == cut_off(calls_of(wants, tale), end_ms)
        assert len(heard) == 6
        told = sum(len(calls) for calls in heard.values())
        assert 20 < told < len(tale) / 2
        fills += sum(isinstance(moment.what, Fill) for moment in tale)
    assert fills > 5
    left_out = [runtime.throttles.left_out for runtime in world.pump.engine.runtimes.all if runtime.throttles is not None]
    assert left_out[0] > 100


def cut_off(calls: Calls, ms: int) -> dict[object, Sequence[object]]:
    """The calls until a moment: after it, another life may have begun."""
    return {lane: [call for call in of_lane if call[0] <= ms] for lane, of_lane in calls.items()}
