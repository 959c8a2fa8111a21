"""The guard on the bench: each refusal with both numbers, what always passes, and what it withdraws."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe import (
    Amend,
    BookChanged,
    Cancel,
    CancelAll,
    Intent,
    OrderChanged,
    OrderFilled,
    Place,
    PositionSide,
    Quote,
    Quotes,
    Side,
    Target,
    WakeMe,
    hookimpl,
)
from coldframe.errors import StrategyFault
from coldframe.testing import BENCH_START_MS, StrategyBench, instrument
from coldframe_guard import Guard, provide_strategies

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
SYMBOL = "BTCUSDT"
QUOTES = Quotes(SYMBOL, bids=[Quote(D(999), D(1))], asks=[Quote(D(1001), D(1))])
#: A minute round the moment at which a bench begins, 22:13 UTC.
ALWAYS_QUIET = ["22:13-22:14"]
QUIET_SENTENCE = "it is 22:13 UTC, within the quiet time from 22:13 to 22:14"


class Recorder:
    """A strategy that keeps what it is told and answers with what it was given."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.answers: list[Any] = []

    def _answer(self, event: object) -> list[Any]:
        self.told.append(event)
        return self.answers

    @hookimpl
    def on_book(self, event: BookChanged) -> list[Any]:
        return self._answer(event)

    @hookimpl
    def on_order(self, event: OrderChanged) -> list[Any]:
        return self._answer(event)

    @hookimpl
    def on_fill(self, event: OrderFilled) -> list[Any]:
        return self._answer(event)


def bench_of(strategy: object = None, symbols: tuple[str, ...] = (SYMBOL,), **changes: object) -> StrategyBench:
    guard = Guard(Guard.Params(**changes))  # type: ignore[arg-type]
    rules = [instrument(symbol, tick="0.1") for symbol in symbols]
    bench = StrategyBench(strategy or Recorder(), symbols, overlays=[guard], instruments=rules)
    for symbol in symbols:
        at(bench, "1000", symbol)
    return bench


def at(bench: StrategyBench, middle: str, symbol: str = SYMBOL, width: str = "0.2") -> list[Any]:
    half = D(width) / 2
    return bench.book(symbol, [(str(D(middle) - half), "9")], [(str(D(middle) + half), "9")])


def place(side: Side = BUY, quantity: str = "1", **changes: Any) -> Place:
    return Place(symbol=SYMBOL, side=side, quantity=D(quantity), price=D(1000), **changes)


class TestParams:
    def test_nothing_is_checked_unless_it_is_asked_for(self) -> None:
        bench = bench_of()
        at(bench, "2000", width="500")
        assert bench.refusal(QUOTES) is None

    @pytest.mark.parametrize(
        "wrong",
        [
            {"max_spread_bps": D(0)},
            {"max_move_bps": D(-1)},
            {"move_window_ms": 0},
            {"max_orders_per_minute": 0},
            {"quiet_utc": ["8-9"]},
        ],
    )
    def test_what_makes_no_sense_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="must be"):
            Guard.Params(**wrong)

    def test_it_is_provided_by_name(self) -> None:
        assert provide_strategies() == {"guard": Guard}


class TestSpread:
    def test_a_wide_market_is_refused_with_both_numbers(self) -> None:
        bench = bench_of(max_spread_bps=D(10))
        at(bench, "1000", width="1")
        assert bench.refusal(QUOTES) is None
        at(bench, "1000", width="1.2")
        assert bench.refusal(QUOTES) == "the spread of BTCUSDT is 12.00 bps, max_spread_bps allows 10 bps"

    def test_a_book_that_is_not_synced_has_no_spread(self) -> None:
        bench = bench_of(max_spread_bps=D(10))
        bench.lose_book(SYMBOL)
        assert bench.refusal(QUOTES) is None


class TestMove:
    def test_a_fast_market_is_refused_with_both_numbers(self) -> None:
        bench = bench_of(max_move_bps=D(20), move_window_ms=500)
        bench.advance(100)
        at(bench, "1002")
        assert bench.refusal(QUOTES) is None
        at(bench, "999")
        assert bench.refusal(QUOTES) == "BTCUSDT moved 30.03 bps within 500 ms, max_move_bps allows 20 bps"

    def test_it_opens_again_when_the_move_is_over(self) -> None:
        bench = bench_of(max_move_bps=D(20), move_window_ms=500)
        bench.advance(100)
        at(bench, "1010")
        bench.advance(499)
        assert bench.refusal(QUOTES) is not None
        bench.advance(1)
        assert bench.refusal(QUOTES) is None

    def test_a_jump_out_of_silence_is_a_move(self) -> None:
        bench = bench_of(max_move_bps=D(20), move_window_ms=500)
        bench.advance(60_000)
        assert bench.refusal(QUOTES) is None
        at(bench, "1010")
        assert bench.refusal(QUOTES) == "BTCUSDT moved 100.00 bps within 500 ms, max_move_bps allows 20 bps"

    @given(st.lists(st.tuples(st.integers(0, 700), st.integers(990, 1010)), min_size=1, max_size=30))
    def test_a_move_is_the_range_of_the_window(self, steps: list[tuple[int, int]]) -> None:
        """Against the naive range: of all places since the window began, and of the one where it found the market."""
        bench, limit = bench_of(max_move_bps=D(20), move_window_ms=500), D(20)
        seen = [(bench.now_ms, D(1000))]
        for pause_ms, middle in steps:
            bench.advance(pause_ms)
            at(bench, str(middle))
            seen.append((bench.now_ms, D(middle)))
            before = [place for at_ms, place in seen if at_ms <= bench.now_ms - 500][-1:]
            places = before + [place for at_ms, place in seen if at_ms > bench.now_ms - 500]
            moved = (max(places) - min(places)) * 10_000 / min(places)
            assert (bench.refusal(QUOTES) is not None) == (moved > limit)

    def test_a_book_that_comes_back_elsewhere_has_moved(self) -> None:
        bench = bench_of(max_move_bps=D(20))
        bench.lose_book(SYMBOL)
        at(bench, "1100")
        assert bench.refusal(QUOTES) == "BTCUSDT moved 1000.00 bps within 1000 ms, max_move_bps allows 20 bps"

    def test_symbols_move_by_themselves(self) -> None:
        bench = bench_of(symbols=(SYMBOL, "ETHUSDT"), max_move_bps=D(20))
        at(bench, "1100", "ETHUSDT")
        assert bench.refusal(QUOTES) is None
        assert bench.refusal(Quotes("ETHUSDT", QUOTES.bids, QUOTES.asks)) is not None


class TestOrders:
    def test_too_many_orders_are_refused_with_both_numbers(self) -> None:
        bench = bench_of(max_orders_per_minute=2)
        bench.rest(SYMBOL, BUY, "999", "1")
        assert bench.refusal(QUOTES) is None
        bench.rest(SYMBOL, SELL, "1001", "1")
        assert bench.refusal(QUOTES) == "2 orders were sent within a minute, max_orders_per_minute allows 2"

    def test_an_order_counts_once_and_for_a_minute(self) -> None:
        bench = bench_of(max_orders_per_minute=2)
        bench.rest(SYMBOL, BUY, "999", "1")
        bench.advance(30_000)
        bench.fill(SYMBOL, BUY, "999", "0.5")
        bench.fill(SYMBOL, BUY, "999", "0.5")
        bench.fill(SYMBOL, SELL, "1001", "1")
        assert bench.refusal(QUOTES) is not None
        bench.advance(30_000)
        assert bench.refusal(QUOTES) is None

    def test_old_resting_order_is_not_counted_again_when_it_ends(self) -> None:
        bench = bench_of(max_orders_per_minute=1)
        bench.rest(SYMBOL, BUY, "999", "1")
        bench.advance(60_000)
        assert bench.refusal(QUOTES) is None
        bench.fill(SYMBOL, BUY, "999", "1")
        assert bench.refusal(QUOTES) is None

    def test_an_order_counts_before_anything_is_heard_of_it(self) -> None:
        bench = bench_of(max_orders_per_minute=1)
        bench.prepare(SYMBOL, BUY, "999", "1")
        assert bench.refusal(QUOTES) == "1 orders were sent within a minute, max_orders_per_minute allows 1"


class TestQuietTimes:
    def test_a_quiet_time_is_refused_with_both_times(self) -> None:
        bench = bench_of(quiet_utc=["03:00-04:00", *ALWAYS_QUIET])
        assert bench.refusal(QUOTES) == QUIET_SENTENCE
        bench.advance(60_000)
        assert bench.refusal(QUOTES) is None
        assert BENCH_START_MS // 60_000 % (24 * 60) == 22 * 60 + 13


def with_position(quantity: str) -> StrategyBench:
    """A bench whose guard is shut, with a position."""
    bench = bench_of(quiet_utc=ALWAYS_QUIET)
    if D(quantity):
        bench.fill(SYMBOL, BUY if D(quantity) > 0 else SELL, "1000", quantity.lstrip("-"))
    return bench


class TestWhatPasses:
    @pytest.mark.parametrize(
        "intent",
        [
            place(SELL, "2"),
            place(BUY, "9", reduce_only=True),
            Target(SYMBOL, D(2)),
            Target(SYMBOL, D("0.5")),
            Target(SYMBOL, D(0)),
            Quotes(SYMBOL),
            Quotes(SYMBOL, asks=[Quote(D(1001), D(1)), Quote(D(1002), D(1))]),
            Cancel("x"),
            CancelAll(),
            WakeMe(1),
            Amend("not an own order"),
        ],
        ids=str,
    )
    def test_what_can_only_reduce_a_long_position(self, intent: Intent) -> None:
        assert with_position("2").refusal(intent) is None

    @pytest.mark.parametrize(
        "intent",
        [
            place(BUY, "0.1"),
            place(SELL, "2.1"),
            place(SELL, "1", position_side=PositionSide.SHORT),
            Target(SYMBOL, D("2.1")),
            Target(SYMBOL, D("-0.1")),
            QUOTES,
            Quotes(SYMBOL, asks=[Quote(D(1001), D(2)), Quote(D(1002), D("0.1"))]),
        ],
        ids=str,
    )
    def test_what_could_make_a_position_larger_does_not(self, intent: Intent) -> None:
        assert with_position("2").refusal(intent) == QUIET_SENTENCE

    def test_amendments_are_judged_by_what_the_order_would_become(self) -> None:
        bench = with_position("2")
        bench.rest(SYMBOL, SELL, "1001", "1")
        bench.rest(SYMBOL, BUY, "999", "1")
        sell, buy = (order.client_order_id for order in bench.view.orders(SYMBOL))
        assert bench.refusal(Amend(sell, price=D(1002))) is None
        assert bench.refusal(Amend(sell, quantity=D(2))) is None
        assert bench.refusal(Amend(sell, quantity=D("2.1"))) == QUIET_SENTENCE
        assert bench.refusal(Amend(buy, price=D(998))) == QUIET_SENTENCE

    def test_what_an_order_has_traded_already_is_not_at_risk_again(self) -> None:
        bench = with_position("2")
        bench.rest(SYMBOL, SELL, "1001", "2")
        bench.fill(SYMBOL, SELL, "1001", "1.5")
        (sell,) = (order.client_order_id for order in bench.view.orders(SYMBOL))
        assert bench.refusal(Amend(sell, quantity=D(2))) is None
        assert bench.refusal(Amend(sell, quantity=D("2.1"))) == QUIET_SENTENCE

    @given(st.integers(-5, 5), st.sampled_from([BUY, SELL]), st.integers(1, 9))
    def test_order_passes_exactly_if_no_fill_enlarges_the_position(self, have: int, side: Side, quantity: int) -> None:
        reached = [have + side.sign * filled for filled in range(quantity + 1)]
        harmless = all(abs(state) <= abs(have) and state * have >= 0 for state in reached)
        bench = with_position(str(have))
        assert (bench.refusal(place(side, str(quantity))) is None) == harmless
        assert (bench.refusal(Target(SYMBOL, D(reached[-1]))) is None) == harmless
        quotes = [Quote(D(1000), D(quantity))]
        assert (bench.refusal(Quotes(SYMBOL, **{"bids" if side is BUY else "asks": quotes})) is None) == harmless


class TestWatching:
    def test_every_event_and_every_intent_passes_unchanged(self) -> None:
        strategy = Recorder()
        bench = bench_of(strategy, max_spread_bps=D(10), max_move_bps=D(10), max_orders_per_minute=9)
        strategy.told.clear()
        strategy.answers = [QUOTES, WakeMe(5, "x")]
        assert at(bench, "1000") == [QUOTES, WakeMe(5, "x")]
        assert bench.rest(SYMBOL, BUY, "999", "1") == [QUOTES, WakeMe(5, "x")]
        assert bench.fill(SYMBOL, BUY, "999", "1") == [QUOTES, WakeMe(5, "x")] * 2
        assert [type(event) for event in strategy.told] == [BookChanged, OrderChanged, OrderFilled, OrderChanged]

    def test_a_fault_of_the_strategy_passes_too(self) -> None:
        class Broken:
            @hookimpl
            def on_book(self) -> None:
                raise RuntimeError("no such luck")

        with pytest.raises(StrategyFault, match="no such luck"):
            bench_of(Broken(), max_spread_bps=D(10))

    def test_a_strategy_without_hooks_can_be_guarded(self) -> None:
        assert bench_of(object(), max_spread_bps=D(10)).refusal(QUOTES) is None


class TestWithdrawal:
    def test_resting_orders_and_quotes_are_withdrawn_while_shut(self) -> None:
        strategy = Recorder()
        bench = bench_of(strategy, max_spread_bps=D(10))
        bench.rest(SYMBOL, BUY, "999", "1")
        bench.rest(SYMBOL, SELL, "1001", "1")
        names = [order.client_order_id for order in bench.view.orders()]
        strategy.answers = [QUOTES]
        assert at(bench, "1000") == [QUOTES]
        assert at(bench, "1000", width="2") == [QUOTES, Quotes(SYMBOL), *(Cancel(name) for name in names)]

    def test_what_only_reduces_may_rest(self) -> None:
        bench = bench_of(max_spread_bps=D(10))
        bench.fill(SYMBOL, BUY, "1000", "1")
        bench.rest(SYMBOL, SELL, "1001", "1")
        assert at(bench, "1000", width="2") == []

    def test_an_order_that_is_under_way_is_left_to_arrive_first(self) -> None:
        bench = bench_of(max_spread_bps=D(10))
        bench.prepare(SYMBOL, BUY, "999", "1")
        assert at(bench, "1000", width="2") == []

    def test_other_symbols_are_left_alone(self) -> None:
        bench = bench_of(symbols=(SYMBOL, "ETHUSDT"), max_spread_bps=D(10))
        bench.rest(SYMBOL, BUY, "999", "1")
        assert at(bench, "1000", "ETHUSDT", width="2") == []

    def test_nothing_rests_nothing_is_withdrawn(self) -> None:
        assert at(bench_of(max_spread_bps=D(10)), "1000", width="2") == []
