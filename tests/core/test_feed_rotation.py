"""Make before break: two links side by side, in any order, with any lag, either of them falling at any moment."""

from __future__ import annotations

from collections import deque

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from coldframe.core.marketdata.book_sync import BookLost, BookSync, RequestSnapshot, StreamLost, StreamSwitched
from coldframe.core.marketdata.links import Feed, StreamsLost
from coldframe.core.marketdata.shards import FeedLimits, plan
from coldframe.model.events import BookState
from coldframe.units import NS_PER_MS
from coldframe.wire.names import StreamName, parse
from coldframe.wire.streams import AggTrade, BookTicker, DepthUpdate, MarketMessage
from tests.core.made import START_MS, agg_trade, delta, mark_price
from tests.core.truth import TrueBook, check
from tests.core.wires import Wire, Wires
from tests.examples import examples

DEPTH, TRADES, MARK = parse("btcusdt@depth@100ms"), parse("btcusdt@aggTrade"), parse("btcusdt@markPrice@1s")
BEST = parse("btcusdt@bookTicker")
LIMITS = FeedLimits(rotate_after_ms=3_600_000, overlap_ms=30_000)


def rotating(name: StreamName, limits: FeedLimits = LIMITS) -> tuple[Wires, str, str]:
    """A link and its open, subscribed successor."""
    wires = Wires(Feed(plan([name], limits), limits, lambda: 0.5))
    wires.open_all()
    wires.acknowledge()
    (old,) = wires.wires
    wires.do(wires.feed.rotate(old, wires.now_ns, "for a test"))
    wires.open_all()
    wires.acknowledge()
    (new,) = set(wires.wires) - {old}
    return wires, old, new


def ids(wires: Wires) -> list[int]:
    return [message.trade_id for _, message in wires.told if isinstance(message, AggTrade)]


# -- when a link is rotated -------------------------------------------------------------------------------------------


def test_link_is_rotated_before_its_age_and_closed_after_overlap() -> None:
    wires = Wires(Feed(plan([TRADES], LIMITS), LIMITS, lambda: 0.5))
    wires.open_all()
    wires.acknowledge()
    (old,) = wires.wires
    wires.pass_time(3_500_000)
    assert list(wires.wires) == [old]
    wires.pass_time(100_000)
    (new,) = set(wires.wires) - {old}
    wires.open_all()
    wires.acknowledge()
    wires.pass_time(29_000)
    assert set(wires.wires) == {old, new}
    wires.pass_time(2_000)
    assert list(wires.wires) == [new]
    assert wires.lost == []
    assert wires.feed.reconnects == 0


def test_rotation_goes_on_for_days_without_a_break() -> None:
    limits = attrs.evolve(LIMITS, rotate_after_ms=23 * 3_600_000)
    wires = Wires(Feed(plan([TRADES], limits), limits, lambda: 0.5))
    for hour in range(72 * 4):
        wires.open_all()
        wires.acknowledge()
        for link in wires.wires:
            wires.say(link, TRADES, agg_trade(hour))
        wires.pass_time(900_000)
    assert ids(wires) == list(range(72 * 4))
    assert wires.opened == 4
    assert wires.lost == []


def test_not_all_links_rotate_at_the_same_time() -> None:
    names = [StreamName.of(f"s{number}usdt", "depth") for number in range(4)]
    limits = attrs.evolve(LIMITS, streams_per_link=1)
    draws = iter([0.0, 0.3, 0.6, 0.9] + [0.5] * 99)
    wires = Wires(Feed(plan(names, limits), limits, lambda: next(draws)))
    wires.open_all()
    opened = []
    for _ in range(3_620):
        wires.acknowledge()
        for wire in [wire for wire in wires.wires.values() if wire.open]:
            for name in wire.subscribed:
                wires.say(wire.id, parse(name), delta(wires.now_ns, wires.now_ns + 1))
        wires.pass_time(1_000)
        opened.append(wires.opened)
    assert opened[-1] == 8
    assert sorted(set(opened)) == [4, 5, 6, 7, 8]


def test_an_announced_shutdown_rotates_at_once_and_only_once() -> None:
    wires, old, new = rotating(TRADES)
    wires.do(wires.feed.rotate(old, wires.now_ns, "the venue announced a shutdown"))
    wires.do(wires.feed.rotate(new, wires.now_ns, "the venue announced a shutdown"))
    assert set(wires.wires) == {old, new}


# -- a sequence is told without hole or repetition --------------------------------------------------------------------


def test_successor_waits_until_the_old_link_has_caught_up() -> None:
    wires, old, new = rotating(TRADES)
    wires.say(old, TRADES, agg_trade(5))
    for number in (8, 9):
        wires.say(new, TRADES, agg_trade(number))
    wires.say(old, TRADES, agg_trade(6))
    assert ids(wires) == [5, 6]
    wires.say(old, TRADES, agg_trade(7))
    assert ids(wires) == [5, 6, 7, 8, 9]
    wires.say(old, TRADES, agg_trade(8))
    wires.say(new, TRADES, agg_trade(10))
    assert ids(wires) == [5, 6, 7, 8, 9, 10]


def test_a_successor_that_lags_repeats_nothing() -> None:
    wires, old, new = rotating(TRADES)
    for number in range(5, 10):
        wires.say(old, TRADES, agg_trade(number))
    for number in range(6, 12):
        wires.say(new, TRADES, agg_trade(number))
    assert ids(wires) == [5, 6, 7, 8, 9, 10, 11]


def test_lost_successor_leaves_the_streams_with_the_old_link() -> None:
    wires, old, new = rotating(TRADES)
    wires.say(old, TRADES, agg_trade(5))
    for number in (7, 8):
        wires.say(new, TRADES, agg_trade(number))
    for number in (6, 7, 8, 9):
        wires.say(old, TRADES, agg_trade(number))
    assert ids(wires) == [5, 6, 7, 8]
    wires.fall(new)
    wires.say(old, TRADES, agg_trade(10))
    assert ids(wires) == [5, 6, 7, 8, 9, 10]
    assert wires.lost == []
    wires.pass_time(70_000)
    assert len(wires.wires) == 2


def test_when_the_old_link_falls_the_successor_goes_on() -> None:
    wires, old, new = rotating(TRADES)
    wires.say(old, TRADES, agg_trade(5))
    for number in (7, 8):
        wires.say(new, TRADES, agg_trade(number))
    wires.fall(old)
    wires.say(new, TRADES, agg_trade(9))
    assert ids(wires) == [5, 7, 8, 9]
    assert list(wires.wires) == [new]
    assert wires.feed.in_charge(TRADES, new)


def test_old_link_lost_before_its_successor_interrupts_streams() -> None:
    wires = Wires(Feed(plan([TRADES], LIMITS), LIMITS, lambda: 0.5))
    wires.open_all()
    (old,) = wires.wires
    wires.do(wires.feed.rotate(old, wires.now_ns, "for a test"))
    wires.fall(old)
    assert [loss.names for loss in wires.lost] == [(TRADES,)]
    wires.open_all()
    (new,) = wires.wires
    wires.say(new, TRADES, agg_trade(9))
    assert ids(wires) == [9]


def test_silent_successor_is_given_up_and_the_old_link_kept() -> None:
    wires = Wires(Feed(plan([TRADES], LIMITS), LIMITS, lambda: 0.5))
    wires.open_all()
    wires.acknowledge()
    (old,) = wires.wires
    wires.do(wires.feed.rotate(old, wires.now_ns, "for a test"))
    wires.open_all()
    wires.pass_time(40_000)
    assert list(wires.wires) == [old]
    wires.say(old, TRADES, agg_trade(1))
    assert ids(wires) == [1]
    assert wires.lost == []


def test_the_overlap_begins_when_the_successor_stands() -> None:
    wires = Wires(Feed(plan([TRADES], LIMITS), LIMITS, lambda: 0.5))
    wires.open_all()
    wires.acknowledge()
    (old,) = wires.wires
    wires.do(wires.feed.rotate(old, wires.now_ns, "for a test"))
    wires.pass_time(60_000)
    assert old in wires.wires
    wires.open_all()
    wires.acknowledge()
    wires.pass_time(20_000)
    assert old in wires.wires


@pytest.mark.parametrize(("name", "overlap_ms"), [(MARK, 10_500), (DEPTH, 30_500)])
def test_link_that_falls_silent_as_the_overlap_ends_is_closed(name: StreamName, overlap_ms: int) -> None:
    """The check that closes the old link must not look at it once more."""
    wires, old, new = rotating(name, attrs.evolve(LIMITS, overlap_ms=overlap_ms))
    wires.pass_time(overlap_ms + 1_000)
    assert old not in wires.wires
    assert wires.feed.in_charge(name, new)


def test_messages_of_a_failed_successor_do_not_count_later() -> None:
    wires, old, new = rotating(TRADES)
    wires.say(old, TRADES, agg_trade(5))
    wires.say(new, TRADES, agg_trade(9))
    wires.fall(new)
    for number in (6, 7, 8, 9, 10):
        wires.say(old, TRADES, agg_trade(number))
    wires.do(wires.feed.rotate(old, wires.now_ns, "for a test"))
    wires.open_all()
    (newer,) = set(wires.wires) - {old}
    wires.say(newer, TRADES, agg_trade(13))
    for number in (11, 12, 13):
        wires.say(old, TRADES, agg_trade(number))
    assert ids(wires) == [5, 6, 7, 8, 9, 10, 11, 12, 13]


def test_b12_after_a_rotation_a_stream_may_set_its_clock_back() -> None:
    """B12: only what the old link had told is left out, nothing that comes after it."""
    wires, old, new = rotating(MARK)
    for link in (old, new):
        wires.say(link, MARK, mark_price(event_ms=START_MS))
    wires.say(new, MARK, mark_price(event_ms=START_MS + 1_000))
    wires.say(new, MARK, mark_price(event_ms=START_MS - 60_000))
    assert len(wires.told) == 3


def test_stream_without_sequence_moves_when_both_links_agree() -> None:
    wires, old, new = rotating(MARK)
    for at in (1, 2):
        wires.say(old, MARK, mark_price(event_ms=START_MS + at))
    for at in (4, 5):
        wires.say(new, MARK, mark_price(event_ms=START_MS + at))
    for at in (3, 4, 5):
        wires.say(old, MARK, mark_price(event_ms=START_MS + at))
    wires.say(new, MARK, mark_price(event_ms=START_MS + 6))
    assert [message.event_ms - START_MS for _, message in wires.told] == [1, 2, 3, 4, 5, 6]


def test_best_prices_move_by_their_update_id() -> None:
    def best(update_id: int) -> BookTicker:
        return BookTicker(
            event="bookTicker",
            event_ms=START_MS,
            update_id=update_id,
            symbol="BTCUSDT",
            bid="1",
            bid_quantity="1",
            ask="2",
            ask_quantity="1",
        )

    wires, old, new = rotating(BEST)
    for number in (1, 2, 3):
        wires.say(old, BEST, best(number))
    for number in (2, 3, 4):
        wires.say(new, BEST, best(number))
    wires.say(old, BEST, best(4))
    assert [message.update_id for _, message in wires.told if isinstance(message, BookTicker)] == [1, 2, 3, 4]


def test_book_accepts_an_overlap_of_differently_cut_batches() -> None:
    """The message that completes the old link's story comes first, and only what follows on it may overlap."""
    wires, old, new = rotating(DEPTH)
    wires.say(old, DEPTH, delta(0, 10))
    wires.say(new, DEPTH, delta(15, 25))
    place = len(wires.told)
    messages, moved_at = wires.feed.route(old, DEPTH, delta(10, 20), wires.now_ns)
    assert [message.last_id for message in messages if isinstance(message, DepthUpdate)] == [20, 25]
    assert moved_at == 1
    assert len(wires.told) == place


def test_book_moves_at_once_when_the_successor_continues_exactly() -> None:
    wires, old, new = rotating(DEPTH)
    wires.say(old, DEPTH, delta(0, 10))
    wires.say(new, DEPTH, delta(10, 20))
    assert [message.last_id for _, message in wires.told if isinstance(message, DepthUpdate)] == [10, 20]
    assert wires.feed.in_charge(DEPTH, new)


# -- any interleaving -------------------------------------------------------------------------------------------------


@attrs.define
class Stretch:
    """What one link still has to deliver of one stream, and where it began to hear it."""

    began: int
    told: int
    queue: deque[MarketMessage] = attrs.field(factory=deque)


class Rotating(Wires):
    """A trade stream and a book over links that lag, batch and fall as they like, checked message by message."""

    def __init__(self) -> None:
        self.truth = TrueBook(3)
        self.trades = 0
        self.sync = BookSync("BTCUSDT")
        self.asked = False
        self.stretches: dict[tuple[str, StreamName], Stretch] = {}
        self.last_trade: int | None = None
        #: Streams in which something may be missing now, because no link had heard it.
        self.may_miss: set[StreamName] = {TRADES, DEPTH}
        super().__init__(Feed(plan([TRADES, DEPTH], LIMITS), LIMITS, lambda: 0.5))

    def at(self, name: StreamName) -> int:
        return self.trades if name == TRADES else self.truth.now

    def subscribed(self, wire: Wire, name: StreamName) -> None:
        self.stretches[wire.id, name] = Stretch(self.at(name), self.at(name))

    def happen(self, count: int) -> None:
        for _ in range(count):
            self.trades += 1
            for (_, name), stretch in self.stretches.items():
                if name == TRADES:
                    stretch.queue.append(agg_trade(self.trades))
        self.truth.move(count)

    def flush(self, link: str) -> None:
        """This link's batch of the book ends here."""
        stretch = self.stretches.get((link, DEPTH))
        if stretch is not None and stretch.told < self.truth.now:
            stretch.queue.append(self.truth.event(stretch.told, self.truth.now))
            stretch.told = self.truth.now

    def deliver(self, link: str, most: int) -> None:
        for name in (TRADES, DEPTH):
            stretch = self.stretches.get((link, name))
            while stretch is not None and stretch.queue and most and link in self.wires:
                most -= 1
                self.say(link, name, stretch.queue.popleft())

    def tell(self, name: StreamName, message: MarketMessage) -> None:
        match message:
            case AggTrade(trade_id=number):
                before = self.last_trade
                assert before is None or number > before, f"trade {number} told after {before}"
                assert before is None or number == before + 1 or name in self.may_miss, f"hole between {before} and {number}"
                self.last_trade = number
                self.may_miss.discard(name)
            case DepthUpdate():
                self.book(message)
                self.may_miss.discard(name)

    def book(self, event: DepthUpdate | StreamLost | StreamSwitched) -> None:
        for effect in self.sync.step(event):
            self.asked |= isinstance(effect, RequestSnapshot)
            assert not isinstance(effect, BookLost) or DEPTH in self.may_miss, effect
        check(self.sync, self.truth)

    def moved(self, name: StreamName) -> None:
        if name == DEPTH:
            self.book(StreamSwitched())

    def streams_lost(self, effect: StreamsLost) -> None:
        self.may_miss |= set(effect.names)
        if DEPTH in effect.names:
            self.book(StreamLost(effect.reason))

    def forgive(self, gone: str) -> None:
        """A link goes: what its counterpart had not begun to hear where this one had told up to may be missing."""
        for name in (TRADES, DEPTH):
            if self.feed.in_charge(name, gone):
                told = (self.last_trade or 0) if name == TRADES else self.sync.book.update_id
                others = [stretch for (link, of), stretch in self.stretches.items() if of == name and link != gone]
                if not any(other.began <= told for other in others):
                    self.may_miss.add(name)

    def fall(self, link: str, reason: str = "gone") -> None:
        self.forgive(link)
        self.stretches = {key: stretch for key, stretch in self.stretches.items() if key[0] != link}
        super().fall(link, reason)

    def answer(self) -> None:
        if self.asked:
            self.asked = False
            for effect in self.sync.step(self.truth.snapshot(self.truth.now)):
                self.asked |= isinstance(effect, RequestSnapshot)
            check(self.sync, self.truth)


class AnyInterleaving(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.wires = Rotating()
        self.calm()

    def link(self, which: int) -> str | None:
        links = [wire.id for wire in self.wires.wires.values() if wire.open]
        return links[which % len(links)] if links else None

    def calm(self) -> None:
        for _ in range(3):
            self.wires.open_all()
            self.wires.acknowledge()
            self.wires.happen(2)
            self.wires.answer()
            for link in list(self.wires.wires):
                self.wires.flush(link)
                self.wires.deliver(link, 1_000)

    @rule(count=st.integers(1, 4))
    def happen(self, count: int) -> None:
        self.wires.happen(count)

    @rule(which=st.integers(0, 3))
    def flush(self, which: int) -> None:
        if link := self.link(which):
            self.wires.flush(link)

    @rule(which=st.integers(0, 3), most=st.integers(1, 6))
    def deliver(self, which: int, most: int) -> None:
        if link := self.link(which):
            self.wires.deliver(link, most)

    @rule(which=st.integers(0, 3))
    def rotate(self, which: int) -> None:
        if link := self.link(which):
            self.wires.do(self.wires.feed.rotate(link, self.wires.now_ns, "for a test"))

    @rule()
    def open_and_acknowledge(self) -> None:
        self.wires.open_all()
        self.wires.acknowledge()

    @rule(which=st.integers(0, 3))
    def fall(self, which: int) -> None:
        links = list(self.wires.wires)
        if links:
            self.wires.fall(links[which % len(links)])

    @rule()
    def snapshot(self) -> None:
        self.wires.answer()

    @rule()
    def a_while(self) -> None:
        """Long enough for a lost link to be opened again; what is under way arrives."""
        self.wires.pass_time(100)

    @rule()
    def end_of_the_overlap(self) -> None:
        """Every stream has caught up when the old link is closed: the overlap is longer than any lag."""
        self.calm()
        for link in list(self.wires.wires):
            self.wires.forgive(link)
        self.wires.now_ns += LIMITS.overlap_ms * NS_PER_MS
        self.wires.pass_time(1)
        self.calm()

    def teardown(self) -> None:
        """Left in peace, every stream comes over one link, and the book is the venue's."""
        self.calm()  # a message under way is never later than an overlap is long
        for _ in range(3):
            self.wires.pass_time(70_000)
            self.calm()
        self.wires.pass_time(40_000)
        self.calm()
        wires = self.wires
        assert wires.last_trade == wires.trades
        assert wires.sync.state is BookState.SYNCED
        assert wires.sync.book.update_id == wires.truth.now


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = settings(max_examples=examples(150), stateful_step_count=40)
