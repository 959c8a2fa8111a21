"""Momentum on the bench: when it goes in, when it comes out, and that it never stays in by mistake."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe import Side, Target, WakeMe
from coldframe.errors import StrategyFault
from coldframe.testing import StrategyBench, instrument
from coldframe_momentum import ASK_AGAIN_MS, Momentum, provide_strategies

D = Decimal
SYMBOL = "ETHUSDT"
BUY, SELL = Side.BUY, Side.SELL
SLIP = D(5)


def params(**changes: object) -> Momentum.Params:
    given = {"size": D(1), "min_trades": 3, "take_profit_bps": D(20), "stop_bps": D(10)} | changes
    return Momentum.Params(**given)  # type: ignore[arg-type]


def bench_of(*symbols: str, min_notional: str = "0", **changes: object) -> StrategyBench:
    names = symbols or (SYMBOL,)
    rules = [instrument(name, tick="0.01", step="0.01", min_notional=min_notional) for name in names]
    bench = StrategyBench(Momentum(params(**changes)), names, instruments=rules)
    for name in names:
        at(bench, "1000", name)
    return bench


def at(bench: StrategyBench, bid: str, symbol: str = SYMBOL) -> list[Any]:
    """A book one cent wide."""
    return bench.book(symbol, [(bid, "10")], [(str(D(bid) + D("0.01")), "10")])


def run(bench: StrategyBench, side: Side, count: int = 3, symbol: str = SYMBOL) -> list[Any]:
    """So many trades in a row that one side started."""
    return [intent for _ in range(count) for intent in bench.trade(symbol, "1000", "2", side)]


def entered(side: Side = BUY, **changes: object) -> StrategyBench:
    """A bench on which it has a position of 1 at 1000."""
    bench = bench_of(**changes)
    assert run(bench, side) == [want(side.sign), WakeMe(params(**changes).max_hold_ms, SYMBOL)]
    assert bench.fill(SYMBOL, side, "1000", "1", maker=False) == []
    return bench


def want(position: int | str, symbol: str = SYMBOL) -> Target:
    return Target(symbol, D(position), SLIP)


class TestParams:
    def test_defaults_ask_for_a_size_or_a_notional(self) -> None:
        assert Momentum.Params(size=D(1)).notional is None
        for both in ({}, {"size": D(1), "notional": D(1)}):
            with pytest.raises(ValueError, match="needs either size"):
                Momentum.Params(**both)

    @pytest.mark.parametrize("name", ["size", "entry_imbalance", "take_profit_bps", "stop_bps"])
    def test_what_must_be_positive(self, name: str) -> None:
        with pytest.raises(ValueError, match=f"'{name}' must be > 0: 0"):
            params(**{name: D(0)})

    @pytest.mark.parametrize(
        "wrong", [{"window_ms": 0}, {"min_trades": 0}, {"max_hold_ms": 0}, {"max_entry_ms": 0}, {"cooldown_ms": -1}]
    )
    def test_times_and_counts(self, wrong: dict[str, object]) -> None:
        with pytest.raises(ValueError, match="must be >="):
            params(**wrong)

    def test_an_imbalance_is_at_most_one(self) -> None:
        with pytest.raises(ValueError, match="must be <= 1"):
            params(entry_imbalance=D("1.1"))

    def test_it_is_provided_by_name(self) -> None:
        assert provide_strategies() == {"momentum": Momentum}


class TestEntry:
    @pytest.mark.parametrize("side", [BUY, SELL])
    def test_it_goes_where_the_flow_goes(self, side: Side) -> None:
        assert run(bench_of(), side) == [want(side.sign), WakeMe(20_000, SYMBOL)]

    def test_too_few_trades_say_nothing(self) -> None:
        assert run(bench_of(), BUY, 2) == []

    def test_a_balanced_flow_says_nothing(self) -> None:
        bench = bench_of()
        for side in (BUY, SELL) * 5:
            assert bench.trade(SYMBOL, "1000", "1", side) == []

    def test_old_trades_do_not_count(self) -> None:
        bench = bench_of()
        run(bench, BUY, 2)
        bench.advance(3_000)
        at(bench, "1000")
        assert run(bench, BUY, 1) == []

    def test_it_needs_a_book_it_may_trade_on(self) -> None:
        lost, stale = bench_of(), bench_of()
        lost.lose_book(SYMBOL)
        stale.advance(2_500)
        assert run(lost, BUY) == run(stale, BUY) == []

    def test_one_bet_at_a_time(self) -> None:
        assert run(entered(), BUY, 10) == run(entered(), SELL, 10) == []

    def test_symbols_do_not_know_of_each_other(self) -> None:
        bench = bench_of(SYMBOL, "BTCUSDT")
        assert run(bench, BUY)[:1] == [want(1)]
        assert run(bench, SELL, symbol="BTCUSDT")[:1] == [want(-1, "BTCUSDT")]

    def test_an_entry_that_brings_nothing_is_given_up(self) -> None:
        bench = bench_of()
        run(bench, BUY)
        bench.advance(999)
        assert at(bench, "1000") == []
        bench.advance(1)
        assert at(bench, "1000") == [want(0)]

    def test_late_fill_is_closed_before_the_next_entry(self) -> None:
        bench = bench_of(cooldown_ms=0)
        run(bench, BUY)
        bench.advance(1_000)
        assert at(bench, "1000") == [want(0)]
        assert bench.fill(SYMBOL, BUY, "1000", "1") == []
        assert run(bench, BUY) == []
        bench.advance(ASK_AGAIN_MS)
        assert at(bench, "1000") == [want(0)]

    def test_order_in_flight_delays_the_next_entry(self) -> None:
        bench = bench_of()
        bench.prepare(SYMBOL, BUY, "1000", "1")
        assert run(bench, BUY) == []


class TestExit:
    @pytest.mark.parametrize(("side", "bid"), [(BUY, "1002.00"), (SELL, "997.99")])
    def test_it_takes_its_profit(self, side: Side, bid: str) -> None:
        bench = entered(side)
        assert at(bench, str(D(bid) - side.sign * D("0.01"))) == []
        assert at(bench, bid) == [want(0)]

    @pytest.mark.parametrize(("side", "bid"), [(BUY, "999.00"), (SELL, "1000.99")])
    def test_it_stops_its_loss(self, side: Side, bid: str) -> None:
        bench = entered(side)
        assert at(bench, str(D(bid) + side.sign * D("0.01"))) == []
        assert at(bench, bid) == [want(0)]

    def test_it_leaves_when_time_is_up_even_if_nothing_moves(self) -> None:
        bench = entered()
        bench.advance(19_999)
        assert bench.wake(SYMBOL) == []
        bench.advance(1)
        assert bench.wake(SYMBOL) == [want(0)]

    def test_a_lost_book_is_no_reason_to_forget_the_exit(self) -> None:
        bench = entered()
        assert at(bench, "1002") == [want(0)]
        assert bench.lose_book(SYMBOL) == []
        assert at(bench, "1001") == [want(0)]

    def test_an_entry_that_lapsed_with_its_book_is_wanted_again(self) -> None:
        bench = bench_of()
        run(bench, BUY)
        bench.lose_book(SYMBOL)
        assert at(bench, "1000") == [want(1)]

    def test_an_exit_without_an_order_is_asked_for_again(self) -> None:
        bench = entered()
        at(bench, "1002")
        bench.advance(ASK_AGAIN_MS - 1)
        assert at(bench, "1002") == []
        bench.advance(1)
        assert at(bench, "1002") == [want(0)]
        bench.rest(SYMBOL, SELL, "1001", "1")
        bench.advance(ASK_AGAIN_MS)
        assert at(bench, "1002") == []

    def test_it_rests_before_the_next_bet(self) -> None:
        bench = entered(window_ms=100)
        at(bench, "1002")
        assert bench.fill(SYMBOL, SELL, "1002", "1") == []
        bench.advance(2_999)
        at(bench, "1000")
        assert run(bench, SELL) == []
        bench.advance(1)
        assert run(bench, SELL, 1) == [want(-1), WakeMe(20_000, SYMBOL)]

    def test_the_rest_begins_when_the_position_is_closed(self) -> None:
        bench = entered(window_ms=100)
        at(bench, "1002")
        bench.advance(2_000)
        bench.fill(SYMBOL, SELL, "1002", "1")
        bench.advance(1_500)
        at(bench, "1000")
        assert run(bench, SELL) == []


class TestSizes:
    def test_a_notional_becomes_a_size(self) -> None:
        assert run(bench_of(size=None, notional=D(255)), BUY)[0] == want("0.25")

    def test_a_small_notional_is_raised_to_the_smallest_order(self) -> None:
        assert run(bench_of(size=None, notional=D(1), min_notional="20"), SELL)[0] == want("-0.02")

    def test_too_small_size_is_refused_at_the_first_book(self) -> None:
        with pytest.raises(StrategyFault, match=r"size 0\.01 is too small for ETHUSDT: at 1000 the smallest order is 0\.02 ETH"):
            bench_of(size=D("0.01"), min_notional="20")

    def test_a_size_is_rounded_down_to_the_step(self) -> None:
        assert run(bench_of(size=D("0.129")), BUY)[0] == want("0.12")


engine_events = st.lists(
    st.one_of(
        st.tuples(st.just("trade"), st.sampled_from([BUY, SELL])),
        st.tuples(st.just("book"), st.integers(980, 1020)),
        st.tuples(st.just("lose"), st.none()),
        st.tuples(st.just("fill"), st.integers(1, 100)),
        st.tuples(st.just("wait"), st.integers(1, 25_000)),
    ),
    max_size=60,
)


@given(engine_events)
def test_position_stays_within_the_size_and_returns_to_zero(story: list[tuple[str, Any]]) -> None:
    """Targets are filled in part, late, or not at all; books are lost; time jumps. In the end it is always out again."""
    bench, wanted = bench_of(), [D(0)]

    def heed(intents: list[Any]) -> None:
        wanted.extend(intent.position for intent in intents if isinstance(intent, Target))

    def fill(percent: int) -> None:
        gap = wanted[-1] - bench.view.position(SYMBOL)
        quantity = (abs(gap) * percent / 100).quantize(D("0.01"))
        if quantity:
            heed(bench.fill(SYMBOL, BUY if gap > 0 else SELL, "1000", str(quantity), maker=False))

    for what, value in story:
        match what:
            case "trade":
                heed(run(bench, value, 1))
            case "book":
                heed(at(bench, str(value)))
            case "lose":
                heed(bench.lose_book(SYMBOL))
                wanted.append(bench.view.position(SYMBOL))  # the framework lets targets lapse
            case "fill":
                fill(value)
            case "wait":
                bench.advance(value)
                heed(bench.wake(SYMBOL))
        assert wanted[-1] in (-1, 0, 1, bench.view.position(SYMBOL))
        assert abs(bench.view.position(SYMBOL)) <= 1
    bench.advance(20_000)
    heed(at(bench, "1000"))
    fill(100)
    assert bench.view.position(SYMBOL) == 0
