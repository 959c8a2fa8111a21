"""The market side: frames become facts, books live apart from each other, and what cannot be read disturbs none of them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.connectivity.rate_limits import Priority
from coldframe.core.connectivity.unreadable import BAD_FRAMES_PER_MINUTE
from coldframe.core.marketdata.book_sync import MAX_DELAY_MS, BookLost, BookMoved, BookReady
from coldframe.core.marketdata.market import StreamMessage
from coldframe.core.marketdata.shards import FeedLimits
from coldframe.enums import Side
from coldframe.model.effects import CallRest
from coldframe.model.events import BookState
from coldframe.model.inputs import FramesDropped, LinkLost, RestAnswered
from coldframe.units import NS_PER_MS
from coldframe.wire.codec import encode
from coldframe.wire.frames import envelope
from coldframe.wire.rest import Answer
from tests.core.made import agg_trade, delta
from tests.core.room import DEPTH, RPI, Room, stream
from tests.examples import examples

A, B, C = "BTCUSDT", "ETHUSDT", "XRPUSDT"


# -- books ------------------------------------------------------------------------------------------------------------


def test_every_symbol_has_its_own_book_and_its_own_rpi_book() -> None:
    names = [stream(A), stream(B), stream(A, "rpiDepth@500ms")]
    room = Room([*names, stream(C, "aggTrade")])
    assert set(room.market.books) == {(A, False), (B, False), (A, True)}
    for number, name in enumerate(names):
        room.venue[name] = (100 * number + 100, {})
    room.sync(*names)
    room.tick(names[0], b96="5")
    room.tick(names[2], a102="6")
    for name in names:
        assert room.levels(name) == room.venue[name][1]
    assert len({tuple(room.levels(name)) for name in names}) == 3
    assert room.market.book(C) is None
    assert room.market.synced_book(C) is None


def test_facts_of_a_book_in_their_order() -> None:
    room = Room([stream(A)])
    room.sync(stream(A))
    room.miss(stream(A))
    room.tick(stream(A))
    kinds = [type(change) for _, change in room.told_of(A)]
    assert kinds == [BookReady, BookLost]
    assert any("synced at" in line for line in room.log)
    assert any("resyncing" in line for line in room.log)


def test_the_age_of_a_book_counts_from_its_last_move() -> None:
    room = Room([stream(A), stream(B)])
    assert room.market.book_age_ms(A) > 10**9
    assert room.market.book_age_ms(C) > 10**9
    room.sync(stream(A))
    assert room.market.book_age_ms(A) == 0
    room.run(1_234)
    assert room.market.book_age_ms(A) == 1_234
    assert room.market.book_age_ms(B) > 10**9
    room.tick(stream(A))
    assert room.market.book_age_ms(A) == 0


@pytest.mark.parametrize("skew_ms", [0, -90_000, 90_000])
def test_n9_what_was_held_up_on_the_way_is_as_old_as_it_is(skew_ms: int) -> None:
    """Whatever the two clocks say: what counts is how much later an event came than the quickest one."""
    room = Room([stream(A)])
    room.late_ms += skew_ms
    room.sync(stream(A))
    room.late_ms += 8_000
    room.tick(stream(A))
    assert room.market.book_age_ms(A) == 8_000
    room.run(500)
    assert room.market.book_age_ms(A) == 8_500
    room.late_ms -= 8_000
    room.tick(stream(A))
    assert room.market.book_age_ms(A) == 0


def test_the_event_times_of_a_recording_are_those_of_another_day() -> None:
    room = Room([stream(A)], limits=FeedLimits(event_times=False))
    room.sync(stream(A))
    room.late_ms += 8_000
    room.tick(stream(A))
    assert room.market.book_age_ms(A) == 0


def test_a_lost_link_loses_its_own_books_only() -> None:
    room = Room([stream(A), stream(B)], limits=FeedLimits(streams_per_link=1))
    room.sync(stream(A), stream(B))
    room.facts.clear()
    link = room.link_of(stream(A))
    del room.links[link]
    room.market.step(LinkLost(link, "gone"))
    room.perform()
    assert room.state(stream(A)) is BookState.STALE
    assert room.state(stream(B)) is BookState.SYNCED
    assert room.told_of(B) == []
    room.tick(stream(B), b95="1")
    assert room.told_of(B) == [(False, BookMoved(B))]
    room.run(3_000)
    room.sync(stream(A))
    assert room.levels(stream(A)) == room.venue[stream(A)][1]


def test_dropped_frames_lose_the_books_of_their_link_alone() -> None:
    names = [stream(A), stream(A, "rpiDepth@500ms"), stream(B)]
    room = Room([*names, stream(A, "aggTrade")], limits=FeedLimits(streams_per_link=2))
    room.sync(*names)
    assert room.link_of(names[0]) == room.link_of(names[1]) != room.link_of(names[2])
    room.market.step(FramesDropped(room.link_of(names[0]), 7))
    room.perform()
    assert [room.state(name) for name in names] == [BookState.STALE, BookState.STALE, BookState.SYNCED]
    assert any("7 frames dropped" in line for line in room.log)
    room.market.step(FramesDropped(room.link_of(stream(A, "aggTrade")), 1))
    room.perform()
    assert room.state(names[2]) is BookState.SYNCED


def test_books_stay_synced_while_their_link_is_rotated() -> None:
    room = Room([stream(A)])
    room.sync(stream(A))
    room.facts.clear()
    old = room.link_of(stream(A))
    room.feed(old, b'{"e":"serverShutdown","E":1700000000000}')
    (new,) = set(room.links) - {old}
    for number in range(6):
        before = room.venue[stream(A)][0]
        frame = envelope(stream(A), encode(delta(before, before + 3, [("90", str(number + 1))], symbol=A)))
        room.venue[stream(A)] = (before + 3, room.venue[stream(A)][1] | {"b90": str(number + 1)})
        for link in (old, new):
            if room.market.feed.owns(link):
                room.feed(link, frame)
    room.run(31_000)
    assert room.closed == [old]
    assert {type(change) for _, change in room.told_of(A)} == {BookMoved}
    assert room.levels(stream(A)) == room.venue[stream(A)][1]


def test_a_successor_may_cut_the_same_changes_into_other_events() -> None:
    """Where one link takes over from the other, an event may begin before the last one ended."""
    room = Room([stream(A)])
    room.sync(stream(A))
    room.facts.clear()
    old = room.link_of(stream(A))
    room.feed(old, b'{"e":"serverShutdown","E":1700000000000}')
    (new,) = set(room.links) - {old}
    at = room.venue[stream(A)][0]
    room.feed(old, envelope(stream(A), encode(delta(at, at + 3, [("90", "1")]))))
    room.feed(new, envelope(stream(A), encode(delta(at + 1, at + 6, [("90", "2")]))))
    room.feed(new, envelope(stream(A), encode(delta(at + 6, at + 8))))
    assert room.told_of(A) == [(False, BookMoved(A))] * 3
    book = room.market.synced_book(A)
    assert book is not None
    assert book.update_id == at + 8
    assert book.levels(Side.BUY, 9)[-1] == (Decimal(90), Decimal(2))
    # Without a change of links it would be a gap.
    room.feed(new, envelope(stream(A), encode(delta(at + 7, at + 9))))
    assert room.state(stream(A)) is BookState.STALE


OPERATIONS = ["tick", "miss", "cross", "garbage", "external", "fail", "answer", "wait"]


def apply(room: Room, symbol: str, what: str) -> None:
    name = stream(symbol)
    calls = [row for row in room.asked if row[1].params["symbol"] == symbol]
    match what:
        case "tick":
            room.tick(name, b99="1", a101="1")
        case "miss":
            room.miss(name)
        case "cross":
            room.tick(name, b102="1")
            room.venue[name][1].pop("b102")
        case "garbage":
            room.feed(room.link_of(name), envelope(name, b'{"e":"depthUpdate"}'))
        case "external":
            room.feed(room.link_of(name), envelope(f"{symbol.lower()}@nosuch", b"{}"))
        case "fail" | "answer" if calls:
            room.asked = [row for row in room.asked if row not in calls]
            for _, call in calls:
                room.answer(call, *((b"{}", 503) if what == "fail" else ()))
        case _:
            pass


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.sampled_from(OPERATIONS), st.integers(0, 400)), max_size=60))
@settings(max_examples=examples(150))
def test_nothing_that_happens_to_one_symbol_is_felt_by_another(story: Sequence[tuple[str, str, int]]) -> None:
    """What is told of a symbol, and asked for it, is the same whether anything happens to the others or not."""

    def live(symbols: set[str]) -> dict[str, list[object]]:
        room = Room([stream(symbol) for symbol in (A, B, C)])
        calls: dict[int, tuple[int, CallRest]] = {}
        for symbol, what, ms in story:
            if symbol in symbols:
                apply(room, symbol, what)
            room.run(ms)
            calls |= {call.call_id: (at, call) for at, call in room.asked}
        assert not room.closed
        return {
            symbol: [*room.told_of(symbol), *((at, call.path) for at, call in calls.values() if call.params["symbol"] == symbol)]
            for symbol in (A, B, C)
        }

    together = live({A, B, C})
    for symbol in (A, B, C):
        assert live({symbol})[symbol] == together[symbol]


# -- snapshots --------------------------------------------------------------------------------------------------------


def test_snapshot_is_requested_after_events_and_once_at_a_time() -> None:
    room = Room([stream(A), stream(A, "rpiDepth@500ms")])
    room.run(5_000)
    assert not room.asked
    for _ in range(30):
        room.tick(stream(A))
        room.run(100)
    ((at_ms, call),) = room.asked
    assert at_ms - room.ctx.now_ms <= -2_800
    assert (call.verb, call.path, dict(call.params)) == ("GET", DEPTH, {"symbol": A, "limit": 1000})
    room.tick(stream(A, "rpiDepth@500ms"))
    room.run(400)
    assert [call.path for _, call in room.asked] == [DEPTH, RPI]


def test_urgent_book_waits_for_its_pending_snapshot() -> None:
    room = Room([stream(A)])
    room.tick(stream(A))
    room.run(300)
    assert len(room.asked) == 1
    room.tick(stream(A))
    room.run(300)
    assert len(room.asked) == 1
    room.answer_all()
    room.tick(stream(A))
    assert room.state(stream(A)) is BookState.SYNCED


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, b"<html>", "snapshot of BTCUSDT failed: status 500"),
        (400, b'{"code":-1121,"msg":"Invalid symbol."}', "snapshot of BTCUSDT failed: status 400"),
        (200, b"no JSON", ""),
        (200, b'{"lastUpdateId":"x","bids":[],"asks":[]}', ""),
        (200, b'{"lastUpdateId":1,"bids":[["a","b"]],"asks":[]}', ""),
        (None, b"", "snapshot of BTCUSDT failed: timed out"),
    ],
)
def test_failed_snapshots_are_requested_ever_less_often(status: int | None, body: bytes, said: str) -> None:
    room = Room([stream(A)])
    times = []
    for _ in range(400):
        room.tick(stream(A))
        room.run(500)
        for at_ms, call in room.take_asked():
            times.append(at_ms)
            if status is None:
                room.back(RestAnswered(call.call_id, None, room.ctx.now_ns, "timed out"))
            else:
                room.answer(call, body, status)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == sorted(gaps)
    assert gaps[0] < 1_500
    assert MAX_DELAY_MS <= gaps[-1] <= MAX_DELAY_MS + 1_000
    assert not said or said in room.log
    assert room.state(stream(A)) is BookState.BUFFERING
    for _ in range(80):
        room.tick(stream(A))
        room.run(500)
        room.answer_all()
    assert room.state(stream(A)) is BookState.SYNCED


def test_a_snapshot_of_another_book_or_of_nothing_is_no_answer() -> None:
    room = Room([stream(A), stream(B)])
    room.calls.call("GET", "/fapi/v1/time", {}, "something else")
    room.perform()
    ((_, call),) = room.take_asked()
    (returned,) = room.calls.step(RestAnswered(call.call_id, Answer(200, {}, b"{}"), room.ctx.now_ns))
    before = dict(room.market.books)
    room.market.step(returned)
    assert (room.market.books, room.ctx.take_effects()) == (before, [])


def test_b8_r6_many_books_at_once_leave_the_reserved_weight() -> None:
    """B8, R6: cancels and reconciliation can still pay for what they need."""
    symbols = [f"S{number}USDT" for number in range(300)]
    room = Room([stream(symbol) for symbol in symbols], limits=FeedLimits(patience=1_000))
    for symbol in symbols:
        room.tick(stream(symbol))
        room.tick(stream(symbol))
    room.run(300)
    rate_limits = room.ctx.rate_limits
    asked = len(room.asked)
    assert 0 < asked < len(symbols)
    assert rate_limits.reserve(20, 0, 0, room.ctx.venue_ms, Priority.NEW_RISK) > 0
    assert rate_limits.reserve(20, 0, 0, room.ctx.venue_ms, Priority.NEEDED) == 0
    for _ in range(6):
        room.answer_all()
        room.run(60_000)
    room.answer_all()
    for symbol in symbols:
        room.tick(stream(symbol))
    assert {room.state(stream(symbol)) for symbol in symbols} == {BookState.SYNCED}


# -- frames -----------------------------------------------------------------------------------------------------------


def test_unrequested_streams_are_counted_and_bring_nothing() -> None:
    room = Room([stream(A, "aggTrade")])
    link = room.link_of(stream(A, "aggTrade"))
    room.feed(link, envelope("ethusdt@aggTrade", encode(agg_trade(7, symbol=B))))
    assert room.facts == []
    assert room.market.unreadable == 0
    assert room.market.census.unknown == {"stream ethusdt@aggTrade": 1}
    room.feed(link, envelope("ethusdt@depth", encode(delta(1, 2, symbol=B))))
    assert room.facts == []
    assert (B, False) not in room.market.books


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a":1}', b'{"stream":5,"data":{}}', b'{"stream":"btcusdt@aggTrade"}',
        envelope("btcusdt@aggTrade", b""), envelope("btcusdt@aggTrade", b"5"), envelope("btcusdt@aggTrade", b"[5]"),
        envelope("BTCUSDT@aggTrade", b"{}"), envelope("btcusdt@nosuch", b"{}"), envelope("@", b"{}"), envelope("x" * 5_000, b"{}"),
        envelope("btcusdt@depth@100ms", b'{"e":"depthUpdate"}'), b'{"result":null,"id":{}}', b'{"id":1}', b'{"error":5,"id":1}',
    ],
)  # fmt: skip
def test_w8_unreadable_frames_are_counted_and_the_rest_goes_on(frame: bytes) -> None:
    room = Room([stream(A, "aggTrade"), stream(A)], limits=FeedLimits(streams_per_link=1))
    good = envelope(stream(A, "aggTrade"), encode(agg_trade(1)))
    room.feed(room.link_of(stream(A, "aggTrade")), frame, good)
    assert room.market.unreadable == 1
    assert [line for line in room.log if "unreadable frame" in line]
    assert [type(fact) for fact in room.facts] == [StreamMessage]


VALID = [
    envelope(stream(A, "aggTrade"), encode(agg_trade(1))),
    envelope(stream(A), encode(delta(100, 103, [("99", "1")]))),
    envelope("!ticker@arr", b"[]"),
    b'{"result":null,"id":1}',
    b'{"e":"serverShutdown","E":1}',
]


@given(st.sampled_from(VALID), st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=3)), max_size=4))
def test_w8_no_bytes_whatever_break_it(valid: bytes, cuts: list[tuple[int, bytes]]) -> None:
    frame = valid
    for at, text in cuts:
        frame = frame[:at] + text + frame[at + 1 :]
    room = Room([stream(A, "aggTrade"), stream(A)])
    for link in list(room.links):
        room.feed(link, frame)
        if room.market.feed.owns(link):
            room.feed(link, *VALID)


def test_link_with_too_many_bad_frames_alone_is_reopened_once() -> None:
    room = Room([stream(A), stream(B)], limits=FeedLimits(streams_per_link=1))
    room.sync(stream(A), stream(B))
    first, second = room.link_of(stream(A)), room.link_of(stream(B))
    for _ in range(BAD_FRAMES_PER_MINUTE // 2):
        room.feed(first, b"rubbish")
        room.feed(second, b"rubbish")
    room.feed(first, *[b"rubbish"] * (BAD_FRAMES_PER_MINUTE // 2))
    assert room.closed == []
    before = room.market.unreadable
    room.feed(first, *[b"rubbish"] * 50)
    assert room.closed == [first]
    assert room.market.unreadable == before + 1
    assert room.state(stream(A)) is BookState.STALE
    assert room.state(stream(B)) is BookState.SYNCED
    room.run(3_000)
    again = room.link_of(stream(A))
    assert again != first
    room.feed(again, *[b"rubbish"] * BAD_FRAMES_PER_MINUTE)
    assert room.closed == [first]


def test_now_and_then_a_bad_frame_is_no_reason_to_open_anew() -> None:
    room = Room([stream(A, "aggTrade")])
    link = room.link_of(stream(A, "aggTrade"))
    for number in range(60):
        room.feed(link, b"rubbish", envelope(stream(A, "aggTrade"), encode(agg_trade(number + 1))))
        room.ctx.now_ns += 3_001 * NS_PER_MS
    assert room.closed == []
    assert room.market.unreadable == 60


def test_a_ban_keeps_links_closed_until_its_end() -> None:
    """A banned address does not connect either (protocol.md 6.2)."""
    room = Room([stream(A)])
    link = room.link_of(stream(A))
    room.ctx.rate_limits.ban(room.ctx.venue_ms + 40_000)
    del room.links[link]
    room.market.step(LinkLost(link, "gone"))
    room.perform()
    room.run(39_000)
    assert room.links == {}
    room.run(2_000)
    assert room.links


def test_a_link_does_not_open_before_it_may() -> None:
    room = Room([stream(A)])
    link = room.link_of(stream(A))
    del room.links[link]
    room.market.step(LinkLost(link, "418", banned_until_ms=room.ctx.venue_ms + 20_000))
    room.perform()
    room.run(19_900)
    assert room.links == {}
    room.run(200)
    assert room.links
