"""How a stream was cut into reads changes nothing: strategies see each frame in order, with the books and orders of that moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest

from coldframe import Cancel, Intent, OrderType, Place, Quote, Quotes, Side, Wants, hookimpl
from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.core.state.limits import Budget
from coldframe.model import inputs as told
from coldframe.model.events import BookChanged, StrategyEvent
from coldframe.model.view import View
from tests.simulation.pump import Pump, Trader, market_of

Cut = Callable[[Sequence[bytes]], list[Sequence[bytes]]]
CHANNELS = ("depth@100ms", "aggTrade", "bookTicker", "markPrice@1s")
SETTINGS = Settings(seed=5, symbols=["BTCUSDT"], pace=Decimal(5))


EVERYTHING = Wants()
LESS = [
    Wants(band_bps=Decimal("0.5")),
    Wants(every_ms=70),
    Wants(band_bps=Decimal("0.5"), every_ms=70, own_fills=True),
    Wants(band_bps=1, own_fills=True),
]


def whole(frames: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [frames]


def single(frames: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [[frame] for frame in frames]


def anyhow(seed: int) -> Cut:
    chance = Random(seed)

    def cut(frames: Sequence[bytes]) -> list[Sequence[bytes]]:
        ends = sorted(chance.sample(range(1, len(frames)), chance.randrange(len(frames))))
        return [frames[start:end] for start, end in pairwise([0, *ends, len(frames)])]

    return cut


class Watcher:
    """Keeps what it is told and what it can see then, and trades at random."""

    def __init__(self, wants: Wants) -> None:
        self.wants = wants
        self.seen: list[tuple[object, ...]] = []

    def look(self, event: StrategyEvent, view: View) -> list[Intent]:
        book = view.book("BTCUSDT")
        orders = tuple((order.client_order_id, order.state, order.filled) for order in view.orders())
        seen = (book.update_id, book.best_bid, book.best_ask, view.mark_price("BTCUSDT"), view.position("BTCUSDT"), orders)
        self.seen.append((event, *seen))
        chance = view.random
        if not view.trading_allowed("BTCUSDT") or book.best_bid is None or book.best_ask is None or chance.random() < 0.7:
            return []
        tick, size = view.instrument("BTCUSDT").filters.tick, Decimal("0.002")
        away = tick * chance.randint(0, 3)
        match chance.randint(0, 3):
            case 0:
                return [Place(symbol="BTCUSDT", side=chance.choice([Side.BUY, Side.SELL]), quantity=size, type=OrderType.MARKET)]
            case 1:
                return [Cancel(client_order_id=order.client_order_id) for order in view.orders()[:1]]
            case _:
                return [
                    Quotes(
                        symbol="BTCUSDT",
                        bids=[Quote(price=book.best_bid - away, quantity=size)],
                        asks=[Quote(price=book.best_ask + away, quantity=size)],
                    )
                ]

    @hookimpl
    def on_book(self, event: StrategyEvent, view: View) -> list[Intent]:
        return self.look(event, view)

    @hookimpl
    def on_trade(self, event: StrategyEvent, view: View) -> list[Intent]:
        return self.look(event, view)

    @hookimpl
    def on_ticker(self, event: StrategyEvent, view: View) -> list[Intent]:
        return self.look(event, view)

    @hookimpl
    def on_mark(self, event: StrategyEvent, view: View) -> list[Intent]:
        return self.look(event, view)

    @hookimpl
    def on_order(self, event: StrategyEvent, view: View) -> list[Intent]:
        return self.look(event, view)

    @hookimpl
    def on_fill(self, event: StrategyEvent, view: View) -> list[Intent]:
        return self.look(event, view)

    @hookimpl
    def on_position(self, event: StrategyEvent, view: View) -> list[Intent]:
        return self.look(event, view)


class CutPump(Pump):
    """A world in which what a link brings at a moment reaches the bot in pieces."""

    cut: Cut
    sizes: Counter[int]

    def _step(self, event: told.Input, lane: told.Lane) -> None:
        if not isinstance(event, told.FramesReceived):
            super()._step(event, lane)
            return
        for frames in self.cut(event.frames):
            if self.running:
                self.sizes[len(frames)] += 1
                super()._step(told.FramesReceived(event.link, tuple(frames)), lane)


def world(cut: Cut, wants: Wants = EVERYTHING) -> tuple[CutPump, Watcher]:
    made: list[Watcher] = []

    def make() -> Watcher:
        made.append(Watcher(wants))
        return made[-1]

    class Made(CutPump):
        pass

    Made.cut, Made.sizes = staticmethod(cut), Counter()
    budget = Budget(max_position=1, max_notional=100_000, orders_per_10s=100)
    pump = Made(
        [Trader(id="watcher", make=make, budget=budget)],
        settings=SETTINGS,
        market=market_of(SETTINGS),
        channels=CHANNELS,
        random_of=Random,
    )
    pump.run(10)
    assert pump.told("muted") == []
    return pump, made[-1]


def outcome(pump: CutPump, watcher: Watcher) -> tuple[object, ...]:
    return watcher.seen, pump.sent, pump.engine.accounts["watcher"].net("BTCUSDT")


@pytest.fixture(scope="module")
def uncut() -> tuple[CutPump, Watcher]:
    return world(whole)


@pytest.mark.parametrize("cut", [single, anyhow(1), anyhow(2)])
def test_each_cut_of_the_streams_gives_the_same_run(uncut: tuple[CutPump, Watcher], cut: Cut) -> None:
    pump, watcher = world(cut)
    assert max(uncut[0].sizes) > 10
    assert pump.sizes != uncut[0].sizes
    assert len(watcher.seen) > 1_000
    assert sum(call == "order.place" for call, _ in pump.sent) > 20
    assert outcome(pump, watcher) == outcome(*uncut)


def test_a_book_event_comes_with_the_book_of_that_moment(uncut: tuple[CutPump, Watcher]) -> None:
    books = [(event.update_id, update_id) for event, update_id, *_ in uncut[1].seen if isinstance(event, BookChanged)]
    assert len(books) > 50
    assert [told_id for told_id, _ in books] == [seen_id for _, seen_id in books]


@pytest.mark.parametrize("wants", LESS, ids=str)
def test_who_wants_less_hears_the_same_however_it_was_cut(uncut: tuple[CutPump, Watcher], wants: Wants) -> None:
    pump, watcher = world(whole, wants)
    assert 10 < len(watcher.seen) < len(uncut[1].seen) / 2
    again, other = world(anyhow(3), wants)
    assert again.sizes != pump.sizes
    assert outcome(again, other) == outcome(pump, watcher)
