"""The handlers of streams beside the general way: whatever comes, in whatever order, both give the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.marketdata.handlers import HandlerTable
from coldframe.core.marketdata.shards import FeedLimits
from coldframe.wire.codec import encode
from coldframe.wire.frames import HEAD_END, cut_envelope, envelope, frame_head
from coldframe.wire.names import StreamName, parse
from tests.core.made import delta
from tests.core.room import Room

SYMBOL = "BTCUSDT"
DEPTH, TRADES, BEST, PARTIAL = (
    str(StreamName.of(SYMBOL, channel)) for channel in ("depth@100ms", "aggTrade", "bookTicker", "depth5")
)
ALL = "!miniTicker@arr"
NAMES = (DEPTH, TRADES, BEST, PARTIAL, ALL)
#: Links are rotated every few seconds.
LIMITS = FeedLimits(rotate_after_ms=4_000, overlap_ms=1_500)


def trade(number: int, **more: Any) -> dict[str, Any]:
    body = {
        "e": "aggTrade",
        "E": 1_700_000_000_000,
        "s": SYMBOL,
        "a": number,
        "p": "1.5",
        "q": "2",
        "f": 1,
        "l": 1,
        "T": 1,
        "m": True,
    }
    return body | more


def best(number: int, **more: Any) -> dict[str, Any]:
    body = {"e": "bookTicker", "u": number, "E": 1_700_000_000_000, "T": 1, "s": SYMBOL, "b": "1", "B": "2", "a": "3", "A": "4"}
    return body | more


def change(previous: int, last: int, price: str = "99", **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode(delta(previous, last, [(price, "1")], [("101", "2")], symbol=SYMBOL)))
    return body | more


#: Keys that a class does not know, one that it may lack, a product that is not ours, values that cannot be read.
odd = st.sampled_from(
    [
        {},
        {},
        {},
        {"zz": 1},
        {"zz": {"y": [":"]}},
        {"st": 1},
        {"st": 2},
        {"E": "x"},
        {"e": None},
        {"p": "1e5"},
        {"B": "1,2"},
        {"q": ""},
    ]
)
numbers = st.integers(-2, 12)
prices = st.sampled_from(["99", "98.5", "1e5"])
payloads = st.one_of(
    st.builds(lambda number, more: (TRADES, trade(number, **more)), numbers, odd),
    st.builds(lambda number, more: (BEST, best(number, **more)), numbers, odd),
    st.builds(
        lambda at, price, more: (DEPTH, change(at, at + 1, price, **more)), numbers, st.sampled_from(["99", "98.5", "1e5"]), odd
    ),
    st.builds(lambda at, price: (PARTIAL, change(at, at + 1, price)), numbers, st.sampled_from(["99", "-1"])),
)


def text(payload: object) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


#: What comes beside the messages of streams, and beginnings of one.
oddities = [b"", b"{", b'{"result":null,"id":99}', HEAD_END, frame_head(TRADES), frame_head(TRADES) + b"{}", b"\xff" * 30]
frames = st.one_of(
    payloads.map(lambda made: envelope(made[0], text(made[1]))),
    payloads.map(lambda made: envelope(made[0], text([made[1], made[1]]))),
    payloads.map(lambda made: envelope(made[0], b" " + text(made[1]) + b" ")),
    payloads.map(lambda made: envelope(made[0], text(made[1])[:-1] + b',"e":"doubled"}')),
    payloads.map(lambda made: envelope(made[0], text(made[1])) + b"\n"),
    payloads.map(lambda made: text({"data": made[1], "stream": made[0]})),
    payloads.map(lambda made: envelope(made[0].upper(), text(made[1]))),
    st.just(envelope(ALL, b"[]")),
    st.sampled_from(
        [b"", b"{", b'{"result":null,"id":99}', HEAD_END, frame_head(TRADES), frame_head(TRADES) + b"{}", b"\xff" * 30]
    ),
)
#: A frame over the link number so, what passes of time, or a link that falls.
moves = st.one_of(
    st.tuples(st.just("frame"), st.integers(0, 3), frames),
    st.tuples(st.just("frame"), st.just(0), frames),
    st.tuples(st.just("next"), st.integers(0, 3), st.integers(0, 2)),
    st.tuples(st.just("time"), st.just(0), st.sampled_from([10, 400, 2_000, 5_000])),
)


class Played:
    """One market to which moves are made."""

    def __init__(self, *, table: bool) -> None:
        self.room = Room(NAMES, limits=LIMITS)
        if not table:
            self.room.market._handlers = HandlerTable()
        self.at = {TRADES: 0, BEST: 0, DEPTH: 0}

    def play(self, move: tuple[str, int, Any]) -> None:
        match move:
            case ("frame", place, frame):
                links = sorted(self.room.links)
                self.room.feed(links[place % len(links)], frame) if links else None
            case ("next", place, which):
                self.follow(place, list(self.at)[which])
            case (_, _, ms):
                self.room.run(ms)
                self.room.answer_all()

    def follow(self, place: int, name: str) -> None:
        """The stream's next message, over one of the links that carry it."""
        links = sorted(link for link, names in self.room.links.items() if name in names)
        if links:
            at = self.at[name] = self.at[name] + 1
            payload = {TRADES: trade, BEST: best}[name](at) if name != DEPTH else change(at - 1, at)
            self.room.feed(links[place % len(links)], envelope(name, text(payload)))

    def outcome(self) -> tuple[object, ...]:
        market, room = self.room.market, self.room
        books = [(local.sync.state, local.sync.book.update_id, local.moved_ns, local.lag_ms) for local in market.books.values()]
        figures = (market.payloads, market.unreadable, market.census.unknown, market.feed.reconnects)
        streams = [(stream.last_ns, stream.warnings) for stream in map(market.feed.stream, room.names)]
        lanes = [lane for name in room.names for lane in market.feed.stream(name).lanes]
        told = [(lane.owner, lane.last_key, lane.floor, list(lane.held)) for lane in lanes]
        return room.facts, room.log, room.closed, room.links, room.timers, books, figures, streams, told


@given(st.lists(moves, max_size=60))
def test_a_handler_gives_what_the_general_way_gives(script: list[tuple[str, int, Any]]) -> None:
    quick, general = Played(table=True), Played(table=False)
    for move in script:
        quick.play(move)
        general.play(move)
        assert quick.outcome() == general.outcome()


@pytest.mark.parametrize("name", [TRADES, BEST, DEPTH, PARTIAL])
def test_frames_as_the_venue_prints_them_find_it(name: str) -> None:
    room = Room(NAMES)
    frame = envelope(name, b'{"a":1}')
    found = room.market._handlers.find(frame)
    assert found is not None
    assert (name, found[1]) == cut_envelope(frame)
    assert room.market._handlers.find(frame + b" ") is None
    assert room.market._handlers.find(frame.replace(b'"data":', b'"data": ')) is None
    assert room.market._handlers.find(envelope(name, b"[]")) is None


def test_a_stream_of_the_whole_market_has_none() -> None:
    assert Room(NAMES).market._handlers.find(envelope(ALL, b'{"a":1}')) is None


def test_a_stream_that_the_bot_adds_gets_one() -> None:
    room = Room([TRADES])
    frame = envelope(BEST, text(best(5)))
    assert room.market._handlers.find(frame) is None
    room.market.listen(parse(BEST))
    assert room.market._handlers.find(frame) is not None
