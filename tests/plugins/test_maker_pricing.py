"""Quote prices: on their ticks, never across the book, alike on both sides, and lazy."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from coldframe import BookView, Instrument, Quote, Side
from coldframe.testing import StrategyBench, instrument
from coldframe_maker.pricing import Pricing, fair_price, quote, smallest_order

D = Decimal
SIDES = (Side.BUY, Side.SELL)
Levels = list[tuple[str, str]]


class Deaf:
    """A strategy that wants nothing: the bench is used for its book."""


def book_of(bids: Levels, asks: Levels) -> BookView:
    bench = StrategyBench(Deaf())
    bench.book("BTCUSDT", bids, asks)
    return bench.view.book("BTCUSDT")


def pricing(rules: Instrument, bid: str, ask: str, *, centre: str, half: str, reach: str = "0") -> Pricing:
    return Pricing(rules=rules, best_bid=D(bid), best_ask=D(ask), centre=D(centre), half=D(half), reach=D(reach))


class TestFairPrice:
    def test_is_the_micro_price(self) -> None:
        book = book_of([("100.0", "3")], [("101.0", "1")])
        assert fair_price(book, D(0)) == book.micro_price == D("100.75")

    def test_looks_behind_levels_that_do_not_count(self) -> None:
        book = book_of([("100.0", "1"), ("99.0", "3")], [("101.0", "4")])
        assert fair_price(book, D(1)) == (D(99) * 4 + D(101) * 4) / 8

    def test_own_quote_alone_at_the_best_price_changes_nothing(self) -> None:
        before = book_of([("100.0", "5"), ("99.0", "5")], [("102.0", "4")])
        after = book_of([("101.0", "0.2"), ("100.0", "4.8"), ("99.0", "5")], [("102.0", "4")])
        assert fair_price(before, D("0.5")) == fair_price(after, D("0.5"))
        assert before.micro_price != after.micro_price

    def test_takes_what_there_is_in_a_book_of_crumbs(self) -> None:
        crumbs = book_of([("100.0", "1"), ("99.0", "1")], [("101.0", "2")])
        assert fair_price(crumbs, D(50)) == D(100)

    def test_needs_both_sides(self) -> None:
        assert fair_price(book_of([("100.0", "1")], []), D(0)) is None
        assert fair_price(book_of([], []), D(0)) is None


class TestPrices:
    RULES = instrument("BTCUSDT", tick="0.1")

    def test_a_fresh_price_is_rounded_away_from_the_market(self) -> None:
        prices = pricing(self.RULES, "99.9", "100.3", centre="100.1", half="0.17")
        assert [str(prices.fresh(side)) for side in SIDES] == ["99.9", "100.3"]

    @pytest.mark.parametrize(("centre", "bid"), [("105", "100.2"), ("95", "94.8")])
    def test_a_bid_stays_below_the_best_ask(self, centre: str, bid: str) -> None:
        assert pricing(self.RULES, "100.0", "100.3", centre=centre, half="0.2").fresh(Side.BUY) == D(bid)

    @pytest.mark.parametrize(("centre", "ask"), [("105", "105.2"), ("95", "100.1")])
    def test_an_ask_stays_above_the_best_bid(self, centre: str, ask: str) -> None:
        assert pricing(self.RULES, "100.0", "100.3", centre=centre, half="0.2").fresh(Side.SELL) == D(ask)

    def test_a_book_off_the_tick_is_not_touched_either(self) -> None:
        prices = pricing(self.RULES, "100.07", "100.14", centre="110", half="0")
        assert prices.fresh(Side.BUY) == D("100.1")
        assert attrs.evolve(prices, centre=D(90)).fresh(Side.SELL) == D("100.1")

    def test_on_a_coarse_tick_both_sides_join_the_best_prices(self) -> None:
        prices = pricing(instrument("BTCUSDT", tick="1"), "100", "101", centre="100.4", half="0.02")
        assert [prices.fresh(side) for side in SIDES] == [D(100), D(101)]


class TestLasting:
    def test_a_quote_lasts_within_reach(self) -> None:
        prices = pricing(TestPrices.RULES, "99", "101", centre="100", half="0.5", reach="0.2")
        assert [price for price in map(D, ("99.2", "99.3", "99.5", "99.7", "99.8")) if prices.lasts(Side.BUY, price)] == [
            D("99.3"),
            D("99.5"),
            D("99.7"),
        ]

    def test_a_quote_that_would_cross_does_not_last(self) -> None:
        prices = pricing(TestPrices.RULES, "99", "99.5", centre="100", half="0.5", reach="5")
        assert not prices.lasts(Side.BUY, D("99.5"))
        assert prices.lasts(Side.BUY, D("99.4"))

    def test_half_a_tick_of_reach_keeps_a_place_at_the_best_price(self) -> None:
        coarse = instrument("BTCUSDT", tick="1")
        for centre in ("99.6", "100.0", "100.9"):
            assert pricing(coarse, "100", "101", centre=centre, half="0.05", reach="0.5").lasts(Side.BUY, D(100))
        assert not pricing(coarse, "100", "101", centre="99.5", half="0.05", reach="0.5").lasts(Side.BUY, D(100))


class TestQuote:
    PRICES = pricing(
        instrument("BTCUSDT", tick="0.1", step="0.1", min_notional="50"), "99", "101", centre="100", half="0.5", reach="0.2"
    )

    def test_a_fresh_one_has_full_size(self) -> None:
        assert quote(self.PRICES, Side.BUY, None, D(2), D(10)) == Quote(D("99.5"), D(2))

    def test_one_within_reach_is_kept_with_what_is_left_of_it(self) -> None:
        standing = Quote(D("99.4"), D("0.7"))
        assert quote(self.PRICES, Side.BUY, standing, D(2), D(10)) is standing

    def test_a_rest_too_small_to_stand_is_filled_up(self) -> None:
        assert quote(self.PRICES, Side.BUY, Quote(D("99.4"), D("0.5")), D(2), D(10)) == Quote(D("99.4"), D(2))

    def test_what_the_limit_does_not_leave_room_for_is_cut_off(self) -> None:
        assert quote(self.PRICES, Side.BUY, None, D(2), D("1.55")) == Quote(D("99.5"), D("1.5"))
        assert quote(self.PRICES, Side.BUY, Quote(D("99.4"), D(2)), D(2), D("1.55")) == Quote(D("99.4"), D("1.5"))

    @pytest.mark.parametrize("room", ["0.5", "0", "-3"])
    def test_no_room_no_quote(self, room: str) -> None:
        assert quote(self.PRICES, Side.BUY, Quote(D("99.4"), D(2)), D(2), D(room)) is None

    def test_no_quote_at_no_price(self) -> None:
        cheap = pricing(instrument("BTCUSDT", tick="1"), "1", "2", centre="1.1", half="0.5")
        assert quote(cheap, Side.BUY, None, D(2), D(10)) is None
        assert quote(cheap, Side.SELL, None, D(2), D(10)) == Quote(D(2), D(2))


@given(
    price=st.decimals("0.00001", "99999", places=5),
    step=st.sampled_from(["0.001", "0.1", "1", "5"]),
    min_notional=st.sampled_from(["0", "5", "100"]),
    min_steps=st.integers(1, 7),
)
def test_the_smallest_order_is_legal_and_nothing_smaller_is(price: D, step: str, min_notional: str, min_steps: int) -> None:
    rules = instrument("BTCUSDT", step=step, min_quantity=str(D(step) * min_steps), min_notional=min_notional)
    smallest = smallest_order(rules, price)

    def legal(quantity: D) -> bool:
        return rules.filters.check_quantity(quantity) is None and rules.filters.check_notional(price, quantity) is None

    assert legal(smallest)
    assert not legal(smallest - D(step))


ticks = st.sampled_from(["0.01", "0.1", "0.5", "1", "10"])
cents = st.integers(1, 200_000).map(lambda number: D(number) / 100)


@st.composite
def situations(draw: st.DrawFn) -> Pricing:
    """Books on and off the tick, narrow and wide, with desired states anywhere round them."""
    bid = draw(cents)
    ask = bid + draw(cents) / 20
    middle = (bid + ask) / 2
    centre = middle + draw(st.decimals("-0.02", "0.02", places=4)) * middle
    half = middle * draw(st.decimals("0.0001", "0.01", places=4))
    reach = draw(st.decimals("0", "0.9", places=2)) * half
    return Pricing(rules=instrument("BTCUSDT", tick=draw(ticks)), best_bid=bid, best_ask=ask, centre=centre, half=half, reach=reach)


@given(situations(), st.sampled_from(SIDES), cents)
def test_no_quote_ever_touches_the_other_side(prices: Pricing, side: Side, standing: D) -> None:
    found = quote(prices, side, Quote(prices.rules.price_up(standing), D(1)), D(1), D(1))
    assume(found is not None)
    assert found is not None
    assert found.price % prices.rules.tick == 0
    assert found.price < prices.best_ask if side is Side.BUY else found.price > prices.best_bid


@given(situations(), st.sampled_from(SIDES))
def test_a_fresh_price_lasts(prices: Pricing, side: Side) -> None:
    assert prices.lasts(side, prices.fresh(side))


@given(situations(), cents)
def test_both_sides_are_treated_alike(prices: Pricing, standing: D) -> None:
    """Mirrored at a price on the tick, every answer of one side is the mirrored answer of the other."""
    mirror = prices.rules.tick * 10_000_000
    mirrored = attrs.evolve(
        prices, best_bid=mirror - prices.best_ask, best_ask=mirror - prices.best_bid, centre=mirror - prices.centre
    )
    at = prices.rules.price(standing)
    for side in SIDES:
        assert mirrored.fresh(side) == mirror - prices.fresh(side.opposite)
        assert mirrored.lasts(side, mirror - at) == prices.lasts(side.opposite, at)
