"""The fast book beside a naive one: a dict of Decimals per side that is searched from end to end."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from coldframe.core.marketdata.book import Book, BookSide
from coldframe.enums import Side
from coldframe.units import scaled, unscaled
from tests.examples import examples

#: Prices on and off any tick, with and without superfluous zeros; few, so that they meet.
PRICES = st.builds(
    lambda whole, cents, zeros: f"{whole}.{cents:02d}{'0' * zeros}", st.integers(99, 102), st.integers(0, 99), st.integers(0, 3)
) | st.sampled_from(["100", "0.000000000001", "999999999999999999", "0.07"])
QUANTITIES = st.sampled_from(["0", "0.000", "0.00000000", "1", "1.0", "0.001", "123456.789", "0.000000000001"])
LEVELS = st.lists(st.tuples(PRICES, QUANTITIES), max_size=8)


class NaiveSide:
    """What the venue's documents say, word by word."""

    def __init__(self, side: Side) -> None:
        self.best_of = max if side is Side.BUY else min
        self.levels: dict[Decimal, Decimal] = {}

    def apply(self, levels: list[tuple[str, str]]) -> None:
        for price, quantity in levels:
            self.levels[Decimal(price)] = Decimal(quantity)
        self.levels = {price: quantity for price, quantity in self.levels.items() if quantity}

    def sorted(self) -> list[tuple[Decimal, Decimal]]:
        left, found = dict(self.levels), []
        while left:
            best = self.best_of(left)
            found.append((best, left.pop(best)))
        return found


class BooksAgree(RuleBasedStateMachine):
    """Any sequence of absolute updates and snapshots leaves both books equal."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.naive = {side: NaiveSide(side) for side in (Side.BUY, Side.SELL)}

    @rule(side=st.sampled_from([Side.BUY, Side.SELL]), levels=LEVELS)
    def apply(self, side: Side, levels: list[tuple[str, str]]) -> None:
        self.book.side(side).apply(levels)
        self.naive[side].apply(levels)

    @rule(
        side=st.sampled_from([Side.BUY, Side.SELL]),
        levels=st.lists(st.tuples(PRICES, QUANTITIES), unique_by=lambda level: level[0]),
    )
    def replace(self, side: Side, levels: list[tuple[str, str]]) -> None:
        different = {Decimal(price): (price, quantity) for price, quantity in levels}
        self.book.side(side).replace(different.values())
        self.naive[side] = NaiveSide(side)
        self.naive[side].apply(list(different.values()))

    @invariant()
    def both_show_the_same(self) -> None:
        for side, naive in self.naive.items():
            wanted = naive.sorted()
            fast = self.book.side(side)
            assert len(fast) == len(wanted)
            assert self.book.levels(side, 1000) == wanted
            assert self.book.levels(side, 3) == wanted[:3]
            assert self.book.levels(side, 0) == []
            assert self.book.best(side) == (wanted[0][0] if wanted else None)
            assert self.book.best_quantity(side) == (wanted[0][1] if wanted else None)
            assert fast.worst == (scaled(format(wanted[-1][0], "f")) if wanted else None)
            for price, quantity in wanted:
                assert unscaled(fast.quantity_at(scaled(format(price, "f")))) == quantity

    @invariant()
    def crossed_means_the_best_prices_meet(self) -> None:
        bids, asks = (self.naive[side].sorted() for side in (Side.BUY, Side.SELL))
        assert self.book.crossed == bool(bids and asks and bids[0][0] >= asks[0][0])


TestBooksAgree = BooksAgree.TestCase
TestBooksAgree.settings = settings(max_examples=examples(60), stateful_step_count=25)


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_b6_removing_what_is_not_there_is_normal(side: Side) -> None:
    levels = BookSide(side)
    levels.apply([("100", "0"), ("101", "2"), ("102", "0.000")])
    assert levels.top(5) == [(scaled("101"), scaled("2"))]
    levels.apply([("101.000", "0")])
    assert levels.best is None
    assert levels.worst is None
    assert levels.quantity_at(scaled("101")) == 0


def test_the_last_word_about_a_price_within_one_event_counts() -> None:
    levels = BookSide(Side.BUY)
    levels.apply([("100", "1"), ("100.0", "0"), ("100.00", "3")])
    assert levels.top(5) == [(scaled("100"), scaled("3"))]


def test_b4_a_snapshot_forgets_everything_before_it() -> None:
    levels = BookSide(Side.SELL)
    levels.apply([("100", "1"), ("101", "1")])
    levels.replace([("102", "5"), ("103", "0")])
    assert levels.top(5) == [(scaled("102"), scaled("5"))]


@pytest.mark.parametrize("text", ["", "-1", "NaN", "1e5", "1_0", "١", "0.0000000000001", "1234567890123456789"])
def test_a_text_that_is_no_number_is_refused(text: str) -> None:
    for levels in ([(text, "1")], [("1", text)]):
        with pytest.raises(ValueError):
            BookSide(Side.BUY).apply(levels)


@given(st.lists(st.tuples(PRICES, st.just("1")), min_size=1))
def test_a_side_is_strictly_sorted_from_its_best(levels: list[tuple[str, str]]) -> None:
    for side, sign in ((Side.BUY, -1), (Side.SELL, 1)):
        made = BookSide(side)
        made.apply(levels)
        prices = [sign * price for price, _ in made.top(1000)]
        assert prices == sorted(set(prices))
