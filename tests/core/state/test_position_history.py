"""Positions compared without races: however late reports come, nothing true is called a difference, and nothing false agreed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.state.position_history import GRACE_MS, LAG_MS, PositionDifference, PositionHistory
from coldframe.core.state.positions import PositionKey
from coldframe.enums import PositionSide
from coldframe.units import NS_PER_MS
from tests.core.told import D

KEY: PositionKey = ("BTCUSDT", PositionSide.BOTH)
START = 1_000_000 * NS_PER_MS


class Books:
    """One position of ours, and the comparison."""

    def __init__(self, quantity: str = "0") -> None:
        self.quantity = D(quantity)
        self.now = START
        self.history = PositionHistory(lambda _: self.quantity, lambda: [KEY])
        self.history.begin()

    def book(self, quantity: Decimal) -> None:
        self.quantity += quantity
        self.history.moved(KEY, self.now)

    def venue_named(self, quantity: str, since_ms: int = 0, source: int = 1) -> None:
        since = self.now - since_ms * NS_PER_MS
        self.history.venue_named({KEY: D(quantity)}, since, self.now, source, all_of_them=True)

    def after(self, ms: int) -> list[PositionDifference]:
        self.now += ms * NS_PER_MS
        return self.history.compare_due(self.now)[0]


def test_what_agrees_is_done_with_at_once() -> None:
    books = Books("0.5")
    books.venue_named("0.5")
    assert books.history.compare_due(books.now) == ([], [(KEY, START)])
    assert books.history.compare_due(books.now) == ([], [])


def test_a_report_that_comes_after_the_answer_makes_it_true() -> None:
    books = Books()
    books.venue_named("2")
    assert books.after(GRACE_MS - 1) == []
    books.book(D(2))
    assert books.after(10_000) == []


def test_answer_older_than_the_last_reports_is_true_too() -> None:
    books = Books()
    books.book(D(1))
    books.now += 300 * NS_PER_MS
    books.book(D(1))
    books.venue_named("1", since_ms=100)
    assert books.after(10_000) == []


def test_a_difference_is_told_after_the_grace_time_and_once() -> None:
    books = Books("0.5")
    books.venue_named("0.7", source=9)
    assert books.after(GRACE_MS - 1) == []
    assert books.after(1) == [PositionDifference(KEY, D("0.7"), D("0.5"), 9)]
    assert books.after(60_000) == []


def test_what_was_long_ago_makes_nothing_true() -> None:
    books = Books("0.5")
    books.book(D(1))
    books.now += (LAG_MS + 1) * NS_PER_MS
    books.venue_named("0.5")
    assert len(books.after(GRACE_MS)) == 1


def test_a_position_that_the_venue_does_not_name_is_flat_to_it() -> None:
    books = Books("0.5")
    books.history.venue_named({}, books.now, books.now, 1, all_of_them=False)
    assert books.after(GRACE_MS) == []
    books.history.venue_named({}, books.now, books.now, 1, all_of_them=True)
    assert books.after(GRACE_MS) == [PositionDifference(KEY, D(0), D("0.5"), 1)]


def test_the_later_word_overtakes_the_earlier_one() -> None:
    books = Books()
    books.venue_named("5")
    books.now += NS_PER_MS
    books.venue_named("0")
    assert books.after(GRACE_MS) == []


@pytest.mark.parametrize("late", [[900, 0], [0, 900], [0, 500, 900]])
def test_an_older_word_that_comes_last_hides_no_later_one(late: list[int]) -> None:
    """An event tells what was before an answer, and comes after it: both fit, and the position agrees since the later question."""
    books = Books("0.5")
    for since_ms in late:
        books.venue_named("0.5", since_ms=since_ms)
    assert books.history.compare_due(books.now) == ([], [(KEY, START)])


@given(
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["1", "-1", "2", "-3"]), st.integers(0, GRACE_MS - 1)), max_size=25),
    st.lists(st.tuples(st.integers(0, 8_000), st.integers(0, 300), st.integers(0, 300)), max_size=8),
    st.sampled_from(["0", "0.5"]),
)
def test_i4_delays_raise_no_false_break_and_every_loss_is_found(
    trades: list[tuple[int, str, int]], questions: list[tuple[int, int, int]], hidden: str
) -> None:
    """The venue trades; each report takes its time (but they keep their order); each question is answered with the truth between.

    `hidden` is a part of the venue's position that no report ever tells: then every question must end as a difference.
    """
    books = Books()
    at_venue: list[tuple[int, Decimal]] = [(0, D(hidden))]
    engine_events: list[tuple[int, int, object]] = []
    clock = told = 0
    for wait, quantity, delay in trades:
        clock += wait
        at_venue.append((clock, at_venue[-1][1] + D(quantity)))
        told = max(told, clock + delay)
        engine_events.append((told, 0, D(quantity)))
    for asked, there, back in questions:
        truth = [value for at, value in at_venue if at <= asked + there][-1]
        engine_events.append((asked + there + back, 1, (asked, truth)))
    found = []
    for at, _, what in sorted(engine_events, key=lambda event: event[:2]):
        while books.now < START + at * NS_PER_MS:
            found += books.after(min(250, at - (books.now - START) // NS_PER_MS))
        if isinstance(what, Decimal):
            books.book(what)
        else:
            asked, truth = what  # type: ignore[misc]
            books.history.venue_named({KEY: truth}, START + asked * NS_PER_MS, books.now, 1, all_of_them=True)
    for _ in range(10):
        found += books.after(250)
    if hidden == "0":
        assert found == []
    else:
        assert len(found) == len(questions)
