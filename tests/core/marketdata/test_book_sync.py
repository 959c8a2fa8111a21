"""The nine steps as traces; then every order of events and snapshots, and a venue that loses, doubles and delays them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from coldframe.core.marketdata.book_sync import (
    BUFFER_LIMIT,
    FIRST_DELAY_MS,
    MAX_DELAY_MS,
    SNAPSHOT_LEVELS,
    STABLE_EVENTS,
    BookInput,
    BookLost,
    BookMoved,
    BookReady,
    BookSync,
    RequestSnapshot,
    SnapshotFailed,
    StreamLost,
    StreamSwitched,
)
from coldframe.enums import Side
from coldframe.model.events import BookState
from coldframe.testing import Playbook
from coldframe.units import scaled
from tests.core.made import SYMBOL, delta, depth
from tests.core.truth import TrueBook, check
from tests.examples import examples

ASK = RequestSnapshot(SYMBOL)
READY, MOVED = BookReady(SYMBOL), BookMoved(SYMBOL)
BIDS, ASKS = [("99", "1"), ("98", "2")], [("101", "3")]


def synced(last: int = 100) -> BookSync:
    """A book that is synced at the update id `last`."""
    sync = BookSync(SYMBOL)
    assert Playbook(sync) >> delta(last - 10, last) << ASK >> depth(last - 5, BIDS, ASKS) << READY
    return sync


def delay_of(effects: Sequence[object]) -> int:
    (asked,) = [effect for effect in effects if isinstance(effect, RequestSnapshot)]
    return asked.after_ms


# -- the nine steps ---------------------------------------------------------------------------------------------------


def test_snapshot_request_is_delayed_once_then_sent_at_once() -> None:
    sync = BookSync(SYMBOL)
    assert sync.state is BookState.BUFFERING
    assert delay_of(sync.step(delta(0, 10))) == FIRST_DELAY_MS
    assert delay_of(sync.step(delta(10, 20))) == 0
    assert Playbook(sync) >> delta(20, 30) >> delta(30, 40) >> depth(15, BIDS, ASKS) << READY
    assert sync.book.update_id == 40


def test_events_before_the_snapshot_are_dropped_bridge_applied() -> None:
    sync = BookSync(SYMBOL)
    book = Playbook(sync) >> delta(0, 10, [("99", "9")]) << ASK >> delta(10, 20, [("98", "0")]) << ASK
    assert book >> depth(15, BIDS, ASKS) << READY
    assert [str(price) for price, _ in sync.book.levels(Side.BUY, 9)] == ["99"]
    assert [str(quantity) for _, quantity in sync.book.levels(Side.BUY, 9)] == ["1"]


def test_event_that_ends_at_the_snapshot_is_already_contained() -> None:
    sync = BookSync(SYMBOL)
    assert Playbook(sync) >> delta(0, 10, [("99", "9")]) << ASK >> depth(10, BIDS, ASKS) >> delta(10, 20) << READY
    assert str(sync.book.best_quantity(Side.BUY)) == "1"


def test_buffer_waits_for_the_event_that_reaches_the_snapshot() -> None:
    sync = BookSync(SYMBOL)
    book = Playbook(sync) >> delta(0, 10) << ASK >> depth(100, BIDS, ASKS)
    for last in range(20, 110, 10):
        book = book >> delta(last - 10, last)
    assert sync.state is BookState.BUFFERING
    assert book >> delta(100, 110) << READY


def test_snapshot_older_than_the_buffer_is_requested_again() -> None:
    sync = BookSync(SYMBOL)
    assert Playbook(sync) >> delta(50, 60) << ASK >> depth(40, BIDS, ASKS) << ASK >> delta(60, 70) >> depth(55, BIDS, ASKS) << READY
    assert sync.book.update_id == 70


def test_event_right_after_the_snapshot_leaves_no_gap() -> None:
    """The seeds ask for U <= L; ids jump, so pu <= L is what makes sure that nothing is missing."""
    sync = BookSync(SYMBOL)
    assert Playbook(sync) >> delta(47, 60) << ASK >> depth(47, BIDS, ASKS) << READY
    assert delta(47, 60).first_id > 48


def test_quantities_are_absolute_and_zero_removes() -> None:
    sync = synced()
    event = delta(100, 110, [("99", "0"), ("97", "4"), ("96", "0")], [("101", "5"), ("102", "0.000")])
    assert Playbook(sync) >> event << MOVED
    assert [(str(p), str(q)) for p, q in sync.book.levels(Side.BUY, 9)] == [("98", "2"), ("97", "4")]
    assert [(str(p), str(q)) for p, q in sync.book.levels(Side.SELL, 9)] == [("101", "5")]
    assert (sync.book.update_id, sync.book.event_ms) == (110, event.event_ms)


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_b1_gap_loses_the_book_and_a_snapshot_restores_it() -> None:
    """B1 and B4: a level that vanished during the gap must not survive it."""
    sync = synced()
    book = Playbook(sync) >> delta(105, 110, [("97", "1")]) << BookLost(SYMBOL, "gap: event follows on 105, book is at 100") << ASK
    assert sync.state is BookState.STALE
    assert book >> depth(107, [("98", "2")], ASKS) << READY
    assert [str(price) for price, _ in sync.book.levels(Side.BUY, 9)] == ["98", "97"]
    assert sync.resyncs == 1


def test_the_old_book_stays_untouched_while_the_new_one_is_made() -> None:
    sync = synced()
    old = sync.book
    sync.step(delta(105, 110))
    sync.step(depth(107, [("1", "1")], [("2", "1")]))
    assert sync.book is not old
    assert str(old.best(Side.BUY)) == "99"


@pytest.mark.parametrize("event", [delta(90, 100, [("99", "9")]), delta(50, 60, [("99", "9")]), delta(90, 95, [("99", "9")])])
def test_b3_a_repeated_or_late_event_is_ignored(event: object) -> None:
    sync = synced()
    assert Playbook(sync) >> event >> delta(100, 110) << MOVED
    assert str(sync.book.best_quantity(Side.BUY)) == "1"


def test_a_repeated_event_in_the_buffer_is_ignored_too() -> None:
    sync = BookSync(SYMBOL)
    book = Playbook(sync) >> delta(0, 10) << ASK >> delta(0, 10) << ASK >> delta(10, 20) >> delta(10, 20) >> delta(20, 30)
    assert book >> depth(5, BIDS, ASKS) << READY


def test_a_gap_in_the_buffer_keeps_what_lies_behind_it() -> None:
    sync = BookSync(SYMBOL)
    book = Playbook(sync) >> delta(0, 10) << ASK >> delta(20, 30) << ASK >> delta(30, 40) >> depth(5, BIDS, ASKS) << ASK
    assert book >> depth(25, BIDS, ASKS) << READY
    assert sync.book.update_id == 40
    assert sync.resyncs == 0


@pytest.mark.parametrize("bad", [[("101", "1")], [("105", "1")]])
def test_b5_a_crossed_or_locked_book_is_never_shown(bad: list[tuple[str, str]]) -> None:
    sync = synced()
    assert Playbook(sync) >> delta(100, 110, bad) << BookLost(SYMBOL, "crossed at 110") >> delta(110, 120) << ASK
    assert sync.state is BookState.STALE
    assert Playbook(sync) >> depth(115, bad, ASKS)
    assert sync.state is BookState.STALE
    assert Playbook(sync) >> delta(120, 130) << ASK >> depth(125, BIDS, ASKS) << READY


def test_lost_stream_makes_the_book_stale_and_clears_the_buffer() -> None:
    sync = synced()
    assert Playbook(sync) >> StreamLost("the link fell") << BookLost(SYMBOL, "the link fell") >> delta(200, 210) << ASK
    assert Playbook(sync) >> depth(205, BIDS, ASKS) << READY
    fresh = BookSync(SYMBOL)
    assert Playbook(fresh) >> delta(0, 10) << ASK >> StreamLost("again") >> delta(40, 50) >> depth(45, BIDS, ASKS) << READY
    assert (sync.resyncs, fresh.resyncs) == (1, 0)


def test_snapshot_from_before_the_loss_is_not_used() -> None:
    sync = BookSync(SYMBOL)
    assert Playbook(sync) >> delta(0, 10) << ASK >> StreamLost("the link fell") >> depth(5, BIDS, ASKS) >> delta(40, 50) << ASK


def test_a_snapshot_that_is_not_needed_changes_nothing() -> None:
    sync = synced()
    assert Playbook(sync) >> depth(500, [("1", "1")], []) >> delta(100, 110) << MOVED


def test_overlap_is_accepted_once_and_only_after_a_link_switch() -> None:
    overlapping = delta(95, 110, [("99", "9")])
    assert Playbook(synced()) >> overlapping << BookLost << ASK
    sync = synced()
    book = Playbook(sync) >> StreamSwitched() >> overlapping << MOVED
    assert str(sync.book.best_quantity(Side.BUY)) == "9"
    assert book >> delta(105, 120) << BookLost << ASK


def test_a_switch_allows_no_hole() -> None:
    assert Playbook(synced()) >> StreamSwitched() >> delta(101, 110) << BookLost << ASK


def test_repeats_after_a_switch_do_not_use_up_the_overlap() -> None:
    sync = synced()
    assert Playbook(sync) >> StreamSwitched() >> delta(80, 90) >> delta(90, 100) >> delta(95, 110) << MOVED


# -- asking, slower and slower ----------------------------------------------------------------------------------------


def test_every_failure_doubles_the_pause_up_to_a_limit() -> None:
    sync = BookSync(SYMBOL)
    delays = [delay_of(sync.step(delta(0, 10)))]
    delays += [delay_of(sync.step(SnapshotFailed("no answer"))) for _ in range(12)]
    assert delays[:4] == [FIRST_DELAY_MS, 2 * FIRST_DELAY_MS, 4 * FIRST_DELAY_MS, 8 * FIRST_DELAY_MS]
    assert delays == sorted(delays)
    assert delays[-1] == MAX_DELAY_MS


def test_only_the_first_ask_is_hurried() -> None:
    sync = BookSync(SYMBOL)
    sync.step(delta(0, 10))
    assert delay_of(sync.step(SnapshotFailed("no answer"))) == 2 * FIRST_DELAY_MS
    assert Playbook(sync) >> delta(10, 20) >> delta(20, 30)


def test_repeated_old_snapshots_slow_the_requests_down() -> None:
    sync = BookSync(SYMBOL)
    delays = [delay_of(sync.step(delta(50, 60)))] + [delay_of(sync.step(depth(40))) for _ in range(9)]
    assert delays == sorted(delays)
    assert delays[-1] == MAX_DELAY_MS


def test_repeated_losses_right_after_sync_slow_the_requests_down() -> None:
    sync, delays = BookSync(SYMBOL), []
    for at in range(0, 1000, 100):
        delays.append(delay_of(sync.step(delta(at, at + 10))))
        sync.step(depth(at + 5, BIDS, ASKS))
        assert sync.state is BookState.SYNCED
    assert delays == sorted(delays)
    assert delays[-1] == MAX_DELAY_MS


def test_book_that_was_stable_is_requested_quickly_again() -> None:
    sync = BookSync(SYMBOL)
    sync.step(delta(0, 10))
    for _ in range(5):
        sync.step(SnapshotFailed("no answer"))
    sync.step(depth(5, BIDS, ASKS))
    for at in range(STABLE_EVENTS):
        assert sync.step(delta(10 + at, 11 + at)) == [MOVED]
    assert delay_of(sync.step(delta(900, 910))) == FIRST_DELAY_MS


def test_nothing_is_asked_for_while_no_event_comes() -> None:
    sync = BookSync(SYMBOL)
    sync.step(delta(0, 10))
    sync.step(StreamLost("gone"))
    assert sync.step(SnapshotFailed("no answer")) == []
    assert Playbook(sync) >> delta(50, 60) << ASK


def test_the_buffer_is_bounded_and_keeps_the_newest() -> None:
    sync = BookSync(SYMBOL)
    for at in range(BUFFER_LIMIT + 100):
        sync.step(delta(at, at + 1))
    assert Playbook(sync) >> depth(50, BIDS, ASKS) << ASK >> depth(100, BIDS, ASKS) << READY
    assert sync.book.update_id == BUFFER_LIMIT + 100


# -- the edge of what a snapshot knows --------------------------------------------------------------------------------


def test_b7_full_snapshot_has_an_edge_a_short_snapshot_has_none() -> None:
    bids = [(str(5_000 - step), "1") for step in range(SNAPSHOT_LEVELS)]
    asks = [(str(5_001 + step), "1") for step in range(SNAPSHOT_LEVELS - 1)]
    sync = BookSync(SYMBOL)
    assert Playbook(sync) >> delta(0, 10) << ASK >> depth(5, bids, asks) << READY
    assert sync.book.bid_edge == scaled(bids[-1][0])
    assert sync.book.ask_edge is None
    assert Playbook(sync) >> delta(10, 20, [("1", "9")]) << MOVED
    assert sync.book.bid_edge == scaled(bids[-1][0])


# -- every order of everything ----------------------------------------------------------------------------------------


@pytest.mark.scene
def test_b2_every_order_of_six_events_with_any_gap_and_snapshot() -> None:
    """B2, exhaustive: all orderings of all subsets of six events, each with every snapshot at every place."""
    truth = TrueBook(1)
    truth.move(12)
    ends = [0, 1, 4, 5, 8, 9, 12]
    events = [truth.event(ends[n], ends[n + 1]) for n in range(6)]
    snapshots = [truth.snapshot(update_id) for update_id in range(13)]
    seen = 0
    for size in range(7):
        for order in permutations(events, size):
            for snapshot, place in product(snapshots, (0, size // 2, size)):
                sync = BookSync(SYMBOL)
                trace: tuple[BookInput, ...] = (*order[:place], snapshot, *order[place:])
                for effect in trace:
                    sync.step(effect)
                if sync.state is BookState.SYNCED:
                    seen += 1
                    check(sync, truth)
    assert seen > 5_000


class LossyVenue(RuleBasedStateMachine):
    """Events get lost, doubled, overtaken; snapshots are of any age or do not come; connections fall and are switched."""

    def __init__(self) -> None:
        super().__init__()
        self.truth = TrueBook(7)
        self.sync = BookSync(SYMBOL)
        self.wire: list[tuple[int, int]] = []
        self.told = 0
        self.asked = 0

    def feed(self, event: BookInput) -> None:
        for effect in self.sync.step(event):
            if isinstance(effect, RequestSnapshot):
                # An ask may be hurried, and there is never another one beside it.
                assert not self.asked or not effect.after_ms
                self.asked = 1
            assert not isinstance(effect, BookMoved | BookReady) or self.sync.state is BookState.SYNCED
            assert not isinstance(effect, BookLost) or self.sync.state is BookState.STALE
        check(self.sync, self.truth)

    @rule(changes=st.integers(1, 4))
    def move(self, changes: int) -> None:
        self.truth.move(changes)
        self.wire.append((self.told, self.truth.now))
        self.told = self.truth.now

    @rule(place=st.integers(0, 3))
    def deliver(self, place: int) -> None:
        if place < len(self.wire):
            self.feed(self.truth.event(*self.wire.pop(place)))

    @rule()
    def deliver_all(self) -> None:
        while self.wire:
            self.deliver(0)

    @rule(place=st.integers(0, 3))
    def lose(self, place: int) -> None:
        if place < len(self.wire):
            del self.wire[place]

    @rule(place=st.integers(0, 3))
    def double(self, place: int) -> None:
        if place < len(self.wire):
            self.wire.insert(place, self.wire[place])

    @rule(age=st.integers(0, 12))
    def answer(self, age: int) -> None:
        if self.asked:
            self.asked = 0
            self.feed(self.truth.snapshot(max(self.truth.now - age, 0)))

    @rule()
    def answer_with_nothing(self) -> None:
        if self.asked:
            self.asked = 0
            self.feed(SnapshotFailed("503"))

    @rule()
    def fall(self) -> None:
        self.wire.clear()
        self.feed(StreamLost("the link fell"))

    @rule(back=st.integers(0, 9))
    def switch(self, back: int) -> None:
        """Another connection goes on a little before the place where this one ended, with batches of its own."""
        self.wire.clear()
        self.feed(StreamSwitched())
        self.told = max(self.told - back, 0)

    @invariant()
    def nothing_grows(self) -> None:
        assert self.sync.resyncs < 1_000

    def teardown(self) -> None:
        """The fault is over: events in order and fresh snapshots bring the book back with a few of both."""
        self.wire.clear()
        for _ in range(4):
            self.move(2)
            self.deliver_all()
            self.answer(0)
        self.move(2)
        self.deliver_all()
        assert self.sync.state is BookState.SYNCED
        assert self.sync.book.update_id == self.truth.now


TestLossyVenue = LossyVenue.TestCase
TestLossyVenue.settings = settings(max_examples=examples(150), stateful_step_count=40)
