"""The maker on the bench: what it wants to stand, when it moves it, and what it never does."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from coldframe import BookChanged, BookState, PartialBookChanged, Quote, Quotes, Side
from coldframe.enums import ContractStatus
from coldframe.errors import StrategyFault
from coldframe.testing import StrategyBench, instrument
from coldframe_maker import ASK_AGAIN_MS, Maker, provide_strategies
from tests.examples import examples

D = Decimal
SYMBOL = "BTCUSDT"
#: A wide book round 1000, so that one basis point is 0.1.
BIDS, ASKS = [("995.0", "50")], [("1005.0", "50")]
RULES = instrument(SYMBOL, tick="0.1", step="0.01")


def params(**changes: object) -> Maker.Params:
    given = {"spread_bps": D(20), "size": D(1), "skew_bps": D(0), "requote_bps": D(2)} | changes
    return Maker.Params(**given)  # type: ignore[arg-type]


def bench_of(**changes: object) -> StrategyBench:
    return StrategyBench(Maker(params(**changes)), [SYMBOL], instruments=[RULES])


def quotes(bid: str | None, ask: str | None, bid_size: str = "1", ask_size: str = "1") -> Quotes:
    return Quotes(
        SYMBOL,
        bids=[Quote(D(bid), D(bid_size))] if bid else [],
        asks=[Quote(D(ask), D(ask_size))] if ask else [],
    )


def around(bench: StrategyBench, middle: str) -> list[Quotes]:
    """The wide book, moved to another middle."""
    return bench.book(SYMBOL, [(str(D(middle) - 5), "50")], [(str(D(middle) + 5), "50")])


class TestParams:
    def test_defaults_ask_for_a_size_or_a_notional(self) -> None:
        assert Maker.Params(size=D("0.002")).tolerance_bps == 1
        assert Maker.Params(notional=D(200), spread_bps=D(10)).tolerance_bps == D("2.5")
        for both in ({}, {"size": D(1), "notional": D(1)}):
            with pytest.raises(ValueError, match="needs either size"):
                Maker.Params(**both)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"spread_bps": D(0)},
            {"size": D(-1)},
            {"size": None, "notional": D(0)},
            {"max_inventory_quotes": 0},
            {"skew_bps": D("-0.1")},
            {"requote_bps": D(-1)},
        ],
    )
    def test_what_makes_no_sense_is_refused(self, wrong: dict[str, object]) -> None:
        with pytest.raises(ValueError, match="must be"):
            params(**wrong)

    def test_tolerance_above_the_spread_is_refused_with_both_numbers(self) -> None:
        with pytest.raises(ValueError, match="less than half of spread_bps, 10, not 10"):
            params(requote_bps=D(10))

    def test_it_is_provided_by_name(self) -> None:
        assert provide_strategies() == {"maker": Maker}


class TestQuoting:
    def test_it_quotes_both_sides_around_the_micro_price(self) -> None:
        assert bench_of().book(SYMBOL, BIDS, ASKS) == [quotes("999.0", "1001.0")]

    def test_it_leans_to_the_thinner_side(self) -> None:
        assert bench_of().book(SYMBOL, BIDS, [("1005.0", "10")]) == [quotes("1002.3", "1004.4")]

    def test_what_stands_is_not_asked_for_again(self) -> None:
        bench = bench_of()
        around(bench, "1000")
        assert around(bench, "1000") == []

    def test_a_quote_moves_only_when_it_is_out_of_reach(self) -> None:
        bench = bench_of()
        around(bench, "1000")
        assert around(bench, "1000.1") == []
        assert around(bench, "1000.6") == [quotes("999.5", "1001.7")]

    def test_one_side_may_move_alone_and_the_other_keeps_its_place(self) -> None:
        bench = bench_of()
        around(bench, "1000")
        assert around(bench, "1000.3") == [quotes("999.0", "1001.4")]

    def test_quotes_keep_their_place_on_a_coarse_tick(self) -> None:
        bench = StrategyBench(
            Maker(params(spread_bps=D(1), requote_bps=D(0))), [SYMBOL], instruments=[instrument(SYMBOL, tick="1")]
        )
        assert bench.book(SYMBOL, [("1000", "50")], [("1001", "50")]) == [quotes("1000", "1001")]
        for bid, ask in (("98", "2"), ("60", "40"), ("2", "98")):
            assert bench.book(SYMBOL, [("1000", bid)], [("1001", ask)]) == []

    def test_it_does_not_follow_its_own_shadow(self) -> None:
        bench = bench_of()
        around(bench, "1000")
        bench.rest(SYMBOL, Side.BUY, "999.0", "1")
        bench.rest(SYMBOL, Side.SELL, "1001.0", "1")
        assert bench.book(SYMBOL, [("999.0", "1"), *BIDS], [("1001.0", "1"), *ASKS]) == []
        assert bench.book(SYMBOL, [("999.0", "1"), *BIDS], ASKS) == []

    def test_its_own_quotes_never_meet(self) -> None:
        bench = StrategyBench(
            Maker(params(spread_bps=D(1), requote_bps=D(0))), [SYMBOL], instruments=[instrument(SYMBOL, tick="1")]
        )
        assert around(bench, "1001.5") == [quotes("1001", "1002")]
        bench.fill(SYMBOL, Side.SELL, "1002", "1")
        # A bid at 1001 would still be near enough, but that is where the new ask belongs.
        assert around(bench, "1000.65") == [quotes("1000", "1001")]

    def test_no_market_no_quotes(self) -> None:
        bench = bench_of()
        assert bench.book(SYMBOL, BIDS, []) == []
        assert bench.book(SYMBOL, BIDS, ASKS) != []
        assert bench.book(SYMBOL, BIDS, []) == [Quotes(SYMBOL)]
        assert bench.book(SYMBOL, [], []) == []

    def test_symbols_do_not_know_of_each_other(self) -> None:
        bench = StrategyBench(Maker(params()), [SYMBOL, "ETHUSDT"])
        assert bench.book(SYMBOL, BIDS, ASKS) == [quotes("999.0", "1001.0")]
        bench.fill(SYMBOL, Side.BUY, "999.0", "1")
        other = bench.book("ETHUSDT", [("99.5", "50")], [("100.5", "50")])
        assert other == [Quotes("ETHUSDT", bids=[Quote(D("99.9"), D(1))], asks=[Quote(D("100.1"), D(1))])]


class TestStanding:
    def test_a_lost_book_takes_its_quotes_with_it(self) -> None:
        bench = bench_of()
        around(bench, "1000")
        assert bench.lose_book(SYMBOL) == []
        assert around(bench, "1000") == [quotes("999.0", "1001.0")]

    def test_a_stale_book_changes_nothing(self) -> None:
        bench = bench_of()
        around(bench, "1000")
        bench.advance(10_000)
        assert bench.fill(SYMBOL, Side.BUY, "999.0", "1") == []

    def test_other_books_are_not_its_business(self) -> None:
        bench = bench_of()
        around(bench, "1000")
        bench.advance(ASK_AGAIN_MS)
        partial = PartialBookChanged(SYMBOL, 0, 0, 1, ((D(1), D(1)),), ((D(2), D(1)),))
        rpi = BookChanged(SYMBOL, 0, 0, 1, BookState.SYNCED, rpi=True)
        assert bench.send("on_book", partial) == bench.send("on_book", rpi) == []
        assert bench.send("on_book", attrs.evolve(rpi, rpi=False)) == [quotes("999.0", "1001.0")]

    def test_a_contract_that_does_not_trade_is_left_alone(self) -> None:
        halted = attrs.evolve(RULES, status=ContractStatus("TRADING_HALT"))
        bench = StrategyBench(Maker(params()), [SYMBOL], instruments=[halted])
        assert around(bench, "1000") == []

    def test_quote_without_an_order_is_requested_again_after_a_while(self) -> None:
        bench = bench_of()
        around(bench, "1000")
        bench.rest(SYMBOL, Side.BUY, "999.0", "1")
        bench.advance(ASK_AGAIN_MS - 1)
        assert around(bench, "1000") == []
        bench.advance(1)
        assert around(bench, "1000.1") == [quotes("999.0", "1001.2")]
        bench.rest(SYMBOL, Side.SELL, "1001.2", "1")
        bench.advance(ASK_AGAIN_MS)
        assert around(bench, "1000.1") == []


class TestInventory:
    def test_quotes_shift_against_the_position(self) -> None:
        bench = bench_of(skew_bps=D(50), max_inventory_quotes=5)
        around(bench, "1000")
        bench.fill(SYMBOL, Side.BUY, "999.0", "1")
        assert around(bench, "1000") == [quotes("998.0", "1000.0")]
        bench.fill(SYMBOL, Side.SELL, "1000.0", "1")
        assert around(bench, "1000") == [quotes("999.0", "1001.0")]

    def test_beyond_the_limit_it_shifts_no_further(self) -> None:
        bench = bench_of(skew_bps=D(50), max_inventory_quotes=2)
        around(bench, "1000")
        bench.fill(SYMBOL, Side.SELL, "1001.0", "2")
        assert around(bench, "1000") == [quotes("1004.0", None)]
        bench.fill(SYMBOL, Side.SELL, "1001.0", "7")
        assert around(bench, "1000") == []

    @pytest.mark.parametrize(
        ("side", "price", "left"), [(Side.BUY, "999.0", (None, "1001.0")), (Side.SELL, "1001.0", ("999.0", None))]
    )
    def test_the_side_that_leads_beyond_the_limit_is_dropped(
        self, side: Side, price: str, left: tuple[str | None, str | None]
    ) -> None:
        bench = bench_of(max_inventory_quotes=2)
        around(bench, "1000")
        bench.fill(SYMBOL, side, price, "1")
        assert around(bench, "1000") == [quotes("999.0", "1001.0")]
        assert bench.fill(SYMBOL, side, price, "1") == [quotes(*left)]
        assert around(bench, "1000") == []

    def test_inventory_limit_also_cuts_a_quote_that_has_not_traded(self) -> None:
        bench = bench_of(max_inventory_quotes=2)
        around(bench, "1000")
        assert bench.fill(SYMBOL, Side.BUY, "998.0", "1.3") == [quotes("999.0", "1001.0", bid_size="0.7")]
        assert bench.fill(SYMBOL, Side.BUY, "998.0", "0.7") == [quotes(None, "1001.0")]

    def test_last_quote_before_the_limit_is_as_large_as_still_fits(self) -> None:
        bench = bench_of(max_inventory_quotes=2)
        bench.fill(SYMBOL, Side.SELL, "1000", "1.3")
        assert around(bench, "1000") == [quotes("999.0", "1001.0", ask_size="0.7")]

    def test_what_is_left_of_a_quote_keeps_its_place(self) -> None:
        bench = bench_of()
        around(bench, "1000")
        bench.rest(SYMBOL, Side.BUY, "999.0", "1")
        bench.rest(SYMBOL, Side.SELL, "1001.0", "1")
        assert bench.fill(SYMBOL, Side.BUY, "999.0", "0.4") == [quotes("999.0", "1001.0", bid_size="0.6")]
        assert around(bench, "1000.1") == []

    def test_traded_quote_waits_for_a_book_after_its_fill(self) -> None:
        bench = bench_of()
        around(bench, "1000")
        assert bench.fill(SYMBOL, Side.BUY, "999.0", "1") == [quotes(None, "1001.0")]
        assert around(bench, "999.5") == [quotes("998.5", "1000.5")]

    def test_a_rest_too_small_for_the_contract_waits_too(self) -> None:
        bench = StrategyBench(Maker(params()), [SYMBOL], instruments=[instrument(SYMBOL, tick="0.1", min_notional="500")])
        around(bench, "1000")
        assert bench.fill(SYMBOL, Side.BUY, "999.0", "0.4") == [quotes("999.0", "1001.0", bid_size="0.6")]
        assert bench.fill(SYMBOL, Side.BUY, "999.0", "0.2") == [quotes(None, "1001.0")]
        assert around(bench, "1000") == [quotes("999.0", "1001.0")]

    def test_fill_at_an_abandoned_price_changes_only_the_position(self) -> None:
        bench = bench_of()
        around(bench, "1000")
        assert bench.fill(SYMBOL, Side.BUY, "998.0", "0.5") == []


class TestSizes:
    def bench(self, *, min_notional: str = "0", min_quantity: str | None = None, **changes: object) -> StrategyBench:
        rules = instrument(SYMBOL, tick="0.1", step="0.01", min_notional=min_notional, min_quantity=min_quantity)
        return StrategyBench(Maker(params(**changes)), [SYMBOL], instruments=[rules])

    def test_a_size_is_rounded_down_to_the_step(self) -> None:
        assert around(self.bench(size=D("0.129")), "1000") == [quotes("999.0", "1001.0", "0.12", "0.12")]

    def test_a_notional_becomes_a_size(self) -> None:
        assert around(self.bench(size=None, notional=D(300)), "1000") == [quotes("999.0", "1001.0", "0.30", "0.30")]

    @pytest.mark.parametrize(("limits", "size"), [({"min_notional": "100"}, "0.11"), ({"min_quantity": "0.25"}, "0.25")])
    def test_a_small_notional_is_raised_to_the_smallest_order(self, limits: dict[str, str], size: str) -> None:
        assert around(self.bench(size=None, notional=D(5), **limits), "1000") == [quotes("999.0", "1001.0", size, size)]

    @pytest.mark.parametrize(("limits", "least"), [({"min_notional": "100"}, "0.11"), ({"min_quantity": "0.25"}, "0.25")])
    def test_a_small_size_is_refused_in_one_sentence(self, limits: dict[str, str], least: str) -> None:
        bench = self.bench(size=D("0.1"), **limits)
        with pytest.raises(StrategyFault, match=f"size 0.1 is too small for BTCUSDT: at 999.0 the smallest order is {least} BTC"):
            around(bench, "1000")

    def test_a_size_that_has_become_too_small_is_not_quoted(self) -> None:
        bench = self.bench(size=D("0.1"), min_notional="99.5")
        assert around(bench, "1000") == [quotes("999.0", "1001.0", "0.10", "0.10")]
        assert around(bench, "995.5") == [quotes(None, "996.5", "0.10", "0.10")]


# -- whatever happens -------------------------------------------------------------------------------------------------

cents = st.integers(1, 400_000).map(lambda number: D(number) / 100)
quantities = st.integers(1, 5000).map(lambda number: D(number) / 100)


@st.composite
def books(draw: st.DrawFn) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Some levels a side on hundredths, whatever the tick is: real books hold prices off the tick."""
    bid = draw(cents) + 1
    ask = bid + draw(st.integers(1, 300)) * D("0.01")
    steps = st.lists(st.tuples(st.integers(1, 90), quantities), min_size=1, max_size=4)

    def side(best: Decimal, sign: int) -> list[tuple[str, str]]:
        levels, price = [], best
        for distance, quantity in draw(steps):
            if price > 0:
                levels.append((str(price), str(quantity)))
            price -= sign * distance * D("0.01")
        return levels

    return side(bid, 1), side(ask, -1)


any_params = st.builds(
    lambda spread, skew, reach, size, notional, most: Maker.Params(
        spread_bps=spread,
        skew_bps=skew,
        requote_bps=spread * reach / 10,
        size=None if notional else size,
        notional=D(100) if notional else None,
        max_inventory_quotes=most,
    ),
    st.decimals("0.1", "200", places=1),
    st.decimals("0", "100", places=1),
    st.integers(0, 4).map(D),
    st.sampled_from([D("0.05"), D("0.5"), D(3)]),
    st.booleans(),
    st.integers(1, 4),
)
any_rules = st.builds(
    lambda tick, step, notional: instrument(SYMBOL, tick=tick, step=step, min_notional=notional),
    st.sampled_from(["0.01", "0.1", "1", "25"]),
    st.sampled_from(["0.01", "0.05"]),
    st.sampled_from(["0", "5"]),
)


@given(any_params, any_rules, st.data())
@settings(max_examples=examples(150))
def test_whatever_happens_quotes_are_legal_and_within_the_limit(chosen: Maker.Params, rules: object, data: st.DataObject) -> None:
    """Books jump, quotes trade in part or in full, time passes: every `Quotes` could stand, and none leads beyond the limit."""
    bench = StrategyBench(Maker(chosen), [SYMBOL], instruments=[rules])  # type: ignore[list-item]
    standing = Quotes(SYMBOL)
    for _ in range(data.draw(st.integers(1, 8))):
        bids, asks = data.draw(books())
        try:
            intents = bench.book(SYMBOL, bids, asks)
        except StrategyFault:
            return  # the size is too small for this contract: said at once, see above
        for standing in intents:
            check(standing, bench, chosen)
        bench.advance(data.draw(st.sampled_from([0, 100, ASK_AGAIN_MS])))
        traded = [(side, level) for side, levels in ((Side.BUY, standing.bids), (Side.SELL, standing.asks)) for level in levels]
        if traded and data.draw(st.booleans()):
            side, level = data.draw(st.sampled_from(traded))
            quantity = rules.quantity(level.quantity / data.draw(st.integers(1, 3))) or level.quantity  # type: ignore[attr-defined]
            for standing in bench.fill(SYMBOL, side, str(level.price), str(quantity)):
                check(standing, bench, chosen)


def check(wanted: Quotes, bench: StrategyBench, chosen: Maker.Params) -> None:
    book, rules, position = bench.view.book(SYMBOL), bench.view.instrument(SYMBOL), bench.view.position(SYMBOL)
    assert book.best_bid is not None
    assert book.best_ask is not None
    assert len(wanted.bids) <= 1 >= len(wanted.asks)
    for sign, levels in ((1, wanted.bids), (-1, wanted.asks)):
        for level in levels:
            assert rules.filters.check_price(level.price) is None
            assert rules.filters.check_quantity(level.quantity) is None
            assert rules.filters.check_notional(level.price, level.quantity) is None
            assert level.price < book.best_ask if sign > 0 else level.price > book.best_bid
            # A notional is worth most quantity at the lowest price that was ever quoted; a size is what it is.
            if chosen.size is not None:
                assert sign * position + level.quantity <= rules.quantity(chosen.size) * chosen.max_inventory_quotes
    if wanted.bids and wanted.asks:
        assert wanted.bids[0].price < wanted.asks[0].price


@given(any_params.filter(lambda params: params.size is not None), books(), st.integers(-3, 3))
def test_it_is_symmetric_under_an_exchange_of_sides(
    chosen: Maker.Params, book: tuple[list[tuple[str, str]], list[tuple[str, str]]], position: int
) -> None:
    """In a mirrored book, with the opposite position, it wants the mirrored quotes."""
    bids, asks = book
    # Mirrored at the middle of the book, so that basis points are the same size in both.
    turn = D(bids[0][0]) + D(asks[0][0])
    assume(all(D(price) < turn for price, _ in asks))
    rules = instrument(SYMBOL, tick="0.01", step="0.01")
    wanted = []
    for mirrored in (False, True):
        bench = StrategyBench(Maker(chosen), [SYMBOL], instruments=[rules])
        sides = (flipped(asks, turn), flipped(bids, turn)) if mirrored else (bids, asks)
        if position:
            side = Side.BUY if (position > 0) is not mirrored else Side.SELL
            bench.fill(SYMBOL, side, "1", str(abs(position)))
        wanted.append(bench.book(SYMBOL, *sides))
    for plain, mirror in zip(*wanted, strict=True):
        assert list(mirror.asks) == [Quote(turn - quote.price, quote.quantity) for quote in plain.bids]
        assert list(mirror.bids) == [Quote(turn - quote.price, quote.quantity) for quote in plain.asks]


def flipped(levels: list[tuple[str, str]], turn: Decimal) -> list[tuple[str, str]]:
    return [(str(turn - D(price)), quantity) for price, quantity in levels]
