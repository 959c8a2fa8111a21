"""What a strategy that wants less is told: the rule as written down naively says the same, event by event."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe import Wants
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.marketdata.book import Book
from coldframe.core.strategies import wants as tested
from coldframe.core.strategies.wants import Throttles
from coldframe.enums import Side
from coldframe.model.effects import LinkKind, WakeAt
from coldframe.model.events import (
    BestPriceChanged,
    BookChanged,
    BookState,
    CandleChanged,
    DayStatsChanged,
    DaySummaryChanged,
    MarkPriceChanged,
    PartialBookChanged,
    TradePrinted,
)
from coldframe.units import NS_PER_MS
from tests.core.scripted import Actor, Scripted
from tests.core.strategies.wantsrule import Calls, Fill, Moment, calls_of, lane_of
from tests.core.told import place

D = Decimal
SYMBOLS = ("BTCUSDT", "ETHUSDT")
HOOKS = {
    BookChanged: "on_book",
    PartialBookChanged: "on_book",
    BestPriceChanged: "on_ticker",
    DayStatsChanged: "on_ticker",
    DaySummaryChanged: "on_ticker",
    TradePrinted: "on_trade",
    MarkPriceChanged: "on_mark",
}


@st.composite
def moments(draw: st.DrawFn) -> list[Moment]:
    found: list[Moment] = []
    ms = 0
    for _ in range(draw(st.integers(0, 40))):
        ms += draw(st.sampled_from([0, 0, 1, 1, 3, 7, 12]))
        symbol = draw(st.sampled_from(SYMBOLS))
        kind = draw(st.sampled_from(["fill", "book", "book", "rpi", "depth5", "best", "trade", "mark", "day", "figures"]))
        low, high = sorted(draw(st.tuples(st.integers(996, 1004), st.integers(996, 1004))))
        bid, ask = draw(st.sampled_from([(low, high), (low, high), (low, high), (low, None), (None, high), (None, None)]))
        stamp: dict[str, Any] = {"symbol": symbol, "at_ns": ms * NS_PER_MS, "event_ms": len(found)}
        found.append(moment(draw, kind, ms, stamp, bid, ask, low))
    return found


def moment(draw: st.DrawFn, kind: str, ms: int, stamp: dict[str, Any], bid: int | None, ask: int | None, price: int) -> Moment:
    unit = D(1)
    figures: dict[str, Any] = dict.fromkeys(("open", "high", "low", "volume", "quote_volume"), unit)
    match kind:
        case "fill":
            return Moment(ms, Fill(stamp["symbol"]))
        case "book" | "rpi":
            state = draw(st.sampled_from([BookState.SYNCED] * 5 + list(BookState)))
            event = BookChanged(**stamp, update_id=0, state=state, rpi=kind == "rpi")
            return Moment(ms, event, bid, ask) if state is BookState.SYNCED else Moment(ms, event)
        case "depth5":
            sides = [((D(side), unit),) if side is not None else () for side in (bid, ask)]
            return Moment(ms, PartialBookChanged(**stamp, update_id=0, bids=sides[0], asks=sides[1]), bid, ask)
        case "best":
            best = BestPriceChanged(**stamp, update_id=0, bid=D(price), bid_quantity=unit, ask=D(price + 1), ask_quantity=unit)
            return Moment(ms, best, price, price + 1)
        case "trade":
            trade = TradePrinted(
                **stamp, trade_id=0, price=D(price), quantity=unit, taker_side=Side.BUY, trade_ms=0, aggregated=True
            )
            return Moment(ms, trade, price, price)
        case "mark":
            mark = MarkPriceChanged(**stamp, mark_price=D(price), index_price=unit, funding_rate=unit, next_funding_ms=0)
            return Moment(ms, mark, price, price)
        case "day":
            return Moment(ms, DaySummaryChanged(**stamp, close=D(price), **figures), price, price)
        case _:
            more: dict[str, Any] = dict.fromkeys(("change", "change_percent", "weighted_average", "last_quantity"), unit)
            return Moment(ms, DayStatsChanged(**stamp, close=D(price), trades=1, **figures, **more), price, price)


# -- the throttles -----------------------------------------------------------------------------------------------------------


def book_of(moment: Moment) -> Book:
    book = Book()
    book.bids.replace([(str(moment.bid), "1")] if moment.bid is not None else [])
    book.asks.replace([(str(moment.ask), "1")] if moment.ask is not None else [])
    return book


class Driven:
    """Throttles with their timers."""

    def __init__(self, wants: Wants) -> None:
        self.throttles = Throttles("mm", wants)
        self.ctx = StepContext(lambda: 0.5)
        self.timers: dict[str, int] = {}
        self.asked: set[tuple[str, int]] = set()
        self.calls: Calls = {}
        self.offered = 0

    def call(self, hook: str, event: Any) -> None:
        assert hook == HOOKS[type(event)]
        self.calls.setdefault(lane_of(event), []).append((self.ctx.now_ms, event))

    def until(self, ms: int) -> None:
        """Lets time pass; of what comes at the same moment, timers come first."""
        while self.timers and min(self.timers.values()) <= ms * NS_PER_MS:
            key = min(self.timers, key=lambda key: self.timers[key])
            self.ctx.begin_step(self.timers.pop(key))
            assert key.startswith("wants:mm:")
            for hook, event in self.throttles.release(key.removeprefix("wants:mm:"), self.ctx.now_ns):
                self.call(hook, event)
        self.ctx.begin_step(ms * NS_PER_MS)

    def play(self, tale: Sequence[Moment]) -> Calls:
        for moment in tale:
            self.until(moment.ms)
            if isinstance(moment.what, Fill):
                self.throttles.filled(moment.what.symbol)
                continue
            self.offered += 1
            hook = HOOKS[type(moment.what)]
            if self.throttles.passes(hook, moment.what, book_of(moment) if type(moment.what) is BookChanged else None, self.ctx):
                self.call(hook, moment.what)
            for effect in self.ctx.take_effects():
                assert isinstance(effect, WakeAt)
                assert effect.at_ns > self.ctx.now_ns
                assert (effect.key, effect.at_ns) not in self.asked
                self.asked.add((effect.key, effect.at_ns))
                self.timers[effect.key] = effect.at_ns
        self.until(10**9)
        assert self.ctx.take_effects() == []
        return self.calls


RULES = st.builds(
    Wants,
    band_bps=st.sampled_from([None, None, D(5), 10, D("20.5")]),
    every_ms=st.sampled_from([None, None, 1, 10, 25]),
    own_fills=st.booleans(),
)


@given(RULES.filter(lambda wants: not wants.everything), moments())
def test_it_tells_what_the_rule_says(wants: Wants, tale: list[Moment]) -> None:
    driven = Driven(wants)
    calls = driven.play(tale)
    assert calls == calls_of(wants, tale)
    told = sum(len(of_lane) for of_lane in calls.values())
    assert told + driven.throttles.left_out == driven.offered
    if wants.every_ms is not None and wants.band_bps is None:
        # The last state is never lost.
        last = {lane_of(moment.what): moment.what for moment in tale if not isinstance(moment.what, Fill)}
        assert {lane: of_lane[-1][1] for lane, of_lane in calls.items()} == last


# -- the rule by example -----------------------------------------------------------------------------------------------


def mark(ms: int, price: int) -> Moment:
    event = MarkPriceChanged("BTCUSDT", ms * NS_PER_MS, ms, D(price), D(1), D(0), 0)
    return Moment(ms, event, price, price)


def told(wants: Wants, *tale: Moment) -> list[tuple[int, int]]:
    """When `on_mark` was called, and with which price."""
    calls = Driven(wants).play(tale)
    return [
        (ms, int(event.mark_price)) for of_lane in calls.values() for ms, event in of_lane if isinstance(event, MarkPriceChanged)
    ]


def test_a_price_on_the_edge_of_its_band_has_not_left_it() -> None:
    assert told(Wants(band_bps=10), mark(0, 1000), mark(1, 1001), mark(2, 999)) == [(0, 1000)]
    assert told(Wants(band_bps=10), mark(0, 1000), mark(1, 1002), mark(2, 998)) == [(0, 1000), (1, 1002), (2, 998)]


def test_a_slow_drift_leaves_the_band_of_the_last_call() -> None:
    """The band stays where the last call was: many small steps add up."""
    drift = [mark(ms, 1000 + ms) for ms in range(7)]
    assert told(Wants(band_bps=20), *drift) == [(0, 1000), (3, 1003), (6, 1006)]


def test_the_newest_event_comes_when_the_pause_is_over() -> None:
    assert told(Wants(every_ms=10), mark(0, 1), mark(3, 2), mark(4, 3)) == [(0, 1), (10, 3)]
    assert told(Wants(every_ms=10), mark(0, 1), mark(3, 2), mark(10, 3)) == [(0, 1), (10, 2), (20, 3)]


def test_with_both_a_price_that_came_back_is_not_told() -> None:
    both = Wants(band_bps=10, every_ms=10)
    assert told(both, mark(0, 1000), mark(3, 1005), mark(4, 1000)) == [(0, 1000)]
    assert told(both, mark(0, 1000), mark(3, 1005), mark(4, 1006)) == [(0, 1000), (10, 1006)]


def test_the_event_after_an_own_fill_comes_at_once() -> None:
    filled = Moment(4, Fill("BTCUSDT"))
    elsewhere = Moment(4, Fill("ETHUSDT"))
    for wants in (Wants(own_fills=True), Wants(own_fills=True, band_bps=50), Wants(own_fills=True, every_ms=100)):
        assert told(wants, mark(0, 1000), filled, mark(5, 1001))[:2] == [(0, 1000), (5, 1001)]
        assert (5, 1001) not in told(wants, mark(0, 1000), elsewhere, mark(5, 1001))
    assert told(Wants(own_fills=True), mark(0, 1), mark(3, 2), filled, mark(5, 3), mark(6, 4)) == [(0, 1), (5, 3)]
    assert (5, 3) not in told(Wants(every_ms=100), mark(0, 1), filled, mark(5, 3))


def test_what_has_no_rule_is_never_held_back() -> None:
    throttles, ctx = Throttles("mm", Wants(own_fills=True)), StepContext(lambda: 0.5)
    unit = D(1)
    candle = CandleChanged("BTCUSDT", 0, 0, "1m", 0, 0, unit, unit, unit, unit, unit, unit, unit, 1, True)
    assert [throttles.passes("on_candle", candle, None, ctx) for _ in range(3)] == [True] * 3


def test_throttles_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams of the whole market may name any symbol: what would need one throttle too many is told."""
    monkeypatch.setattr(tested, "MOST_THROTTLES", 2)
    throttles, ctx = Throttles("mm", Wants(own_fills=True)), StepContext(lambda: 0.5)
    events = [attrs.evolve(mark(0, 1).what, symbol=symbol) for symbol in ("A", "B", "C")]
    assert [throttles.passes("on_mark", event, None, ctx) for event in events] == [True, True, True]  # type: ignore[arg-type]
    assert [throttles.passes("on_mark", event, None, ctx) for event in events] == [False, False, True]  # type: ignore[arg-type]


# -- in the engine -----------------------------------------------------------------------------------------------------


def world(wants: Wants) -> tuple[Scripted, Actor, Actor]:
    """Two strategies that hear the same market; one of them wants less."""
    everything, less = Actor(id="all"), Actor(id="mm", wants=wants)
    made = Scripted(everything, less).ready()
    everything.seen.clear()
    less.seen.clear()
    return made, everything, less


def test_what_waits_is_told_by_a_timer_of_the_engine() -> None:
    made, everything, less = world(Wants(every_ms=200))
    made.mark("BTCUSDT", "101")
    made.run(500, alive=False)
    less.seen.clear()
    made.mark("BTCUSDT", "102")
    made.mark("BTCUSDT", "103")
    assert [event.mark_price for event in less.told(MarkPriceChanged)] == [D(102)]
    due_ns = made.timers["wants:mm:MarkPriceChanged:BTCUSDT"]
    assert due_ns == made.now_ns + 200 * NS_PER_MS
    made.run(200, alive=False)
    assert [event.mark_price for event in less.told(MarkPriceChanged)] == [D(102), D(103)]
    assert [event.mark_price for event in everything.told(MarkPriceChanged)] == [D(101), D(102), D(103)]


def test_a_book_that_is_lost_and_found_is_told_at_once() -> None:
    made, everything, less = world(Wants(band_bps=5_000, every_ms=3_600_000))
    made.gap("BTCUSDT")
    made.book("BTCUSDT")
    states = [event.state for event in less.told(BookChanged)]
    assert states[:1] == [BookState.STALE]
    made.run(2_000)
    states = [event.state for event in less.told(BookChanged)]
    assert states[-1] is BookState.SYNCED
    assert len(states) < len(everything.told(BookChanged))


def test_a_fill_of_the_strategy_lets_the_next_events_through() -> None:
    made, _, less = world(Wants(own_fills=True))
    made.beat()
    made.want(less, place(price="99"))
    order = next(iter(made.engine.orders.live))
    less.seen.clear()
    made.beat()
    assert less.told(BookChanged) == less.told(MarkPriceChanged) == []
    made.fill(order.client_order_id, "0.5")
    less.seen.clear()
    made.beat()
    made.beat()
    assert (len(less.told(BookChanged)), len(less.told(MarkPriceChanged))) == (1, 1)


def test_a_muted_strategy_asks_for_no_timer() -> None:
    made, _, less = world(Wants(every_ms=100))

    def fail(*_: object) -> None:
        raise ArithmeticError("no")

    less.acts["on_mark"] = fail
    made.mark("BTCUSDT", "101")
    made.run(300, alive=False)
    assert made.engine.runtimes.get("mm").muted
    made.beat()
    made.beat()
    assert not [key for key in made.timers if key.startswith("wants:")]
    assert made.of_kind(LinkKind.MARKET)


def test_a_quiet_market_asks_for_no_steps() -> None:
    """Every timer is for an event that waits."""
    made, _, less = world(Wants(every_ms=100))
    made.mark("BTCUSDT", "101")
    made.mark("BTCUSDT", "102")
    made.run(250, alive=False)
    assert len(less.told(MarkPriceChanged)) >= 1
    assert not [key for key in made.timers if key.startswith("wants:")]


# -- the declaration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_rule", "text"),
    [
        ({"band_bps": 0}, "Wants: band_bps must be above 0 and below 10000 basis points, not 0"),
        ({"band_bps": D("10000")}, "Wants: band_bps must be above 0 and below 10000 basis points, not 10000"),
        ({"band_bps": D("NaN")}, "Wants: band_bps must be above 0 and below 10000 basis points, not NaN"),
        ({"band_bps": 0.5}, "Wants: band_bps must be a Decimal or a whole number, not 0.5"),
        ({"band_bps": True}, "Wants: band_bps must be a Decimal or a whole number, not True"),
        ({"every_ms": 0}, "Wants: every_ms must be between 1 and 3600000 ms, not 0"),
        ({"every_ms": 3_600_001}, "Wants: every_ms must be between 1 and 3600000 ms, not 3600001"),
        ({"every_ms": D(5)}, "Wants: every_ms must be a whole number of milliseconds, not Decimal('5')"),
        ({"every_ms": True}, "Wants: every_ms must be a whole number of milliseconds, not True"),
        ({"own_fills": "yes"}, "Wants: own_fills must be True or False, not 'yes'"),
    ],
)
def test_a_declaration_that_does_not_fit_says_why(given_rule: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match="Wants") as caught:
        Wants(**given_rule)
    assert str(caught.value.args[0]) == text


def test_without_a_rule_everything_is_wanted() -> None:
    assert Wants().everything
    assert not any(wants.everything for wants in (Wants(band_bps=1), Wants(every_ms=1), Wants(own_fills=True)))
    made, everything, less = world(Wants())
    assert made.engine.runtimes.get("mm").throttles is None
    made.beat()
    assert less.seen == everything.seen != []
