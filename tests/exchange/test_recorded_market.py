"""A recorded market on virtual time: when it begins, at what pace it plays, what it waits for, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.errors import ConfigError
from coldframe.exchange.market.subscriptions import Publication
from coldframe.exchange.recorded_market import RecordedMarket
from coldframe.exchange.recording_info import look_through
from coldframe.wire.recording import RecordingLine, parse_line
from tests.exchange.rig import SYMBOL, Rig, Settings

#: Times of the recording and of the venue (epoch milliseconds).
T0, NOW_MS = 1_600_000_000_000, 1_700_000_000_000
DEPTH = "btcusdt@depth@100ms"


def update(number: int, at_ms: int) -> bytes:
    ids = {"U": number * 10 + 1, "u": number * 10 + 10, "pu": number * 10}
    levels = {"b": [["999.0", f"{number + 1}.000"]], "a": []}
    body = {"e": "depthUpdate", "E": T0 + at_ms, "T": T0 + at_ms, "s": SYMBOL, **ids, **levels}
    return b'{"t":%d,"stream":"%b","data":%b}' % ((T0 + at_ms) * 10**6, DEPTH.encode(), msgspec.json.encode(body))


def snapshot(last_id: int, at_ms: int) -> bytes:
    body = {"lastUpdateId": last_id, "E": T0 + at_ms, "T": T0, "bids": [["999.0", "1.000"]], "asks": [["1001.0", "1.000"]]}
    return b'{"t":%d,"snapshot":"BTCUSDT","data":%b}' % ((T0 + at_ms) * 10**6, msgspec.json.encode(body))


def seconds_of(seconds: int, snapshot_at: int = 300) -> list[bytes]:
    """Ten updates a second, and one snapshot."""
    lines = [update(number, number * 100) for number in range(seconds * 10)]
    lines.insert(snapshot_at // 100 + 1, snapshot(snapshot_at // 10 + 5, snapshot_at))
    return lines


class Lines:
    """A recording in memory. A `fault` is raised behind the last line."""

    def __init__(self, raw: Sequence[bytes], tear: str | None = None, fault: ConfigError | None = None) -> None:
        self._parsed, self._tear, self._fault = [parse_line(line) for line in raw], tear, fault
        self.line = 0
        self.tear: str | None = None

    def __iter__(self) -> Iterator[RecordingLine]:
        for number, parsed in enumerate(self._parsed, start=1):
            self.line = number
            yield parsed
        if self._fault is not None:
            raise self._fault
        self.tear = self._tear


class Reader:
    """A client of streams that reads when the test lets it."""

    def __init__(self) -> None:
        self.backlog = 0
        self.heard: list[tuple[int, str, Any]] = []
        self.now_ms = NOW_MS

    def offer(self, publication: Publication) -> None:
        self.backlog += 1
        self.heard.append((self.now_ms, publication.name, msgspec.json.decode(publication.payload)))

    def chain(self, name: str = DEPTH) -> list[tuple[int, int, int]]:
        """First, last and previous update id of what came under a name."""
        return [(body["pu"], body["U"], body["u"]) for _, stream, body in self.heard if stream == name]

    def at(self, name: str = DEPTH) -> list[int]:
        """When something came under a name, in milliseconds from the start."""
        return [at_ms - NOW_MS for at_ms, stream, _ in self.heard if stream == name]


class Playback:
    """A recording, an exchange on it, and the caller that a venue has: it goes from one due time to the next."""

    def __init__(self, raw: Sequence[bytes], speed: str, **ends: Any) -> None:
        info = look_through(Lines(raw), "recording")
        settings = Settings(market="recording", recording="recording", speed=speed)
        self.market = RecordedMarket(settings, NOW_MS, info, Lines(raw, **ends))
        self.rig = Rig(*self.market.markets.values())
        self.market.bind(self.rig.exchange.streams, lambda symbol, met: None)
        self.reader = Reader()
        self.now_ms = NOW_MS

    def subscribe(self, *names: str) -> None:
        for name in names:
            self.rig.exchange.streams.subscriptions.add(name, self.reader)
            self.market.listened_to(name)

    def until(self, at_ms: int) -> None:
        """Lets time pass up to `at_ms` milliseconds from the start."""
        end_ms = NOW_MS + at_ms
        while True:
            self.reader.now_ms = self.now_ms
            self.market.advance(self.now_ms)
            due_ms = self.market.next_due_ms()
            if due_ms is None or due_ms > end_ms:
                self.now_ms = max(self.now_ms, end_ms)
                return
            self.now_ms = max(self.now_ms, due_ms)


def test_playback_waits_for_a_depth_listener() -> None:
    played = Playback(seconds_of(2), "1")
    played.subscribe("btcusdt@aggTrade")
    played.until(5_000)
    assert (played.reader.heard, played.market.next_due_ms()) == ([], None)
    played.subscribe(DEPTH)
    played.until(5_000)
    assert played.market.next_due_ms() == NOW_MS + 5_050
    played.until(5_049)
    assert played.reader.heard == []
    played.until(5_050)
    assert played.reader.chain() == [(0, 1, 10)]


@pytest.mark.parametrize(("speed", "between_ms"), [("1", 100), ("40", Fraction(5, 2)), ("0.5", 200), ("3", Fraction(100, 3))])
def test_playback_keeps_its_pace(speed: str, between_ms: Fraction) -> None:
    """Every line comes in the first millisecond that does not lie before its time."""
    played = Playback(seconds_of(20), speed)
    played.subscribe(DEPTH)
    played.until(60_000)
    at = played.reader.at()
    assert len(at) == 200
    assert all(0 <= came_ms - 50 - number * between_ms < 1 for number, came_ms in enumerate(at))
    assert played.market.ended


def test_a_caller_that_is_late_hears_every_line_all_the_same() -> None:
    played = Playback(seconds_of(200), "1")
    played.subscribe(DEPTH)
    played.until(1_000)
    played.now_ms += 150_000
    played.until(played.now_ms - NOW_MS)
    assert [first for _, first, _ in played.reader.chain()] == [number * 10 + 1 for number in range(len(played.reader.chain()))]
    assert len(played.reader.chain()) == 1_510


def test_many_due_lines_are_played_in_several_calls() -> None:
    played = Playback([snapshot(5, 0), *[update(number, 0) for number in range(1_200)]], "1")
    played.subscribe(DEPTH)
    played.market.advance(NOW_MS)
    played.market.advance(NOW_MS + 50)
    assert 0 < len(played.reader.heard) < 1_200
    assert played.market.next_due_ms() <= NOW_MS + 50
    played.until(50)
    assert len(played.reader.heard) == 1_200


def test_at_full_speed_playback_waits_for_its_slowest_listener() -> None:
    played = Playback([snapshot(5, 0), *[update(number, number) for number in range(6_000)]], "max")
    played.subscribe(DEPTH)
    played.until(50)
    held = len(played.reader.heard)
    assert 512 < held <= 512 + 16
    played.until(60_000)
    assert (len(played.reader.heard), played.market.next_due_ms()) == (held, None)
    played.reader.backlog = 65
    played.until(60_000)
    assert len(played.reader.heard) == held
    played.reader.backlog = 64
    played.until(60_000)
    assert len(played.reader.heard) > held
    while not played.market.ended:
        played.reader.backlog = 0
        played.until(60_000)
    assert all(later[0] == earlier[2] for earlier, later in pairwise(played.reader.chain()))
    assert played.reader.chain()[-1][2] == 60_000


@pytest.mark.parametrize("speed", ["1", "max"])
def test_slower_streams_are_batched_and_faster_ones_passed_on(speed: str) -> None:
    played = Playback(seconds_of(2), speed)
    names = ("btcusdt@depth", "btcusdt@depth@0ms", DEPTH, "btcusdt@depth@500ms")
    played.subscribe(*names)
    played.until(10_000)
    assert played.market.ended
    chains = {name: played.reader.chain(name) for name in names}
    assert len(chains[DEPTH]) == len(chains["btcusdt@depth@0ms"]) == 20
    assert 7 <= len(chains["btcusdt@depth"]) <= 10
    assert 4 <= len(chains["btcusdt@depth@500ms"]) <= 6
    for chain in chains.values():
        assert chain[-1][2] == 200
        assert all(later[0] == earlier[2] for earlier, later in pairwise(chain))


def test_who_waits_for_a_book_is_called_once_it_is_complete() -> None:
    played = Playback(seconds_of(2, snapshot_at=1_000), "4")
    called: list[int] = []
    played.market.when_complete(SYMBOL, lambda: called.append(played.now_ms - NOW_MS))
    played.market.when_complete("NONEUSDT", lambda: called.append(-1))
    assert called == [-1]
    played.subscribe(DEPTH)
    played.until(2_000)
    assert called == [-1, 50 + 1_000 // 4]
    played.market.when_complete(SYMBOL, lambda: called.append(-2))
    played.until(9_000)
    assert called[2:] == [-2]


def test_a_torn_recording_is_played_to_its_tear_and_says_so() -> None:
    played = Playback(seconds_of(1), "max", tear="recording:12: the last line is torn and was left out")
    played.subscribe(DEPTH)
    assert played.market.note is None
    played.until(1_000)
    assert (len(played.reader.heard), played.market.ended) == (10, True)
    assert played.market.note == "recording:12: the last line is torn and was left out"
    assert played.market.next_due_ms() is None


@pytest.mark.parametrize("speed", ["1", "max"])
def test_damage_in_the_middle_ends_the_market_with_an_error(speed: str) -> None:
    """What cannot be played is told to the caller; a request that happens to move the market does not meet it."""
    broken = b'{"t":%d,"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate"}}' % ((T0 + 500) * 10**6)
    played = Playback(seconds_of(1), speed)
    played.market._left = iter([parse_line(line) for line in (update(0, 0), broken)])
    played.subscribe(DEPTH)
    played.until(10_000)
    assert played.market.fault is not None
    assert "not a payload of its stream" in str(played.market.fault)
    cut = Playback(seconds_of(1), speed, fault=ConfigError("recording:13: damaged"))
    cut.subscribe(DEPTH)
    cut.until(10_000)
    assert (str(cut.market.fault), len(cut.reader.heard)) == ("recording:13: damaged", 10)


@given(st.lists(st.integers(0, 700), min_size=1, max_size=40), st.sampled_from(["1", "7", "0.3"]))
def test_when_the_caller_looks_changes_nothing_of_what_is_heard(steps: list[int], speed: str) -> None:
    """Oracle: a caller that goes from due time to due time. Another one that comes at any time hears the same in the same order."""
    due, other = (Playback(seconds_of(3), speed) for _ in range(2))
    for played in (due, other):
        played.subscribe(DEPTH)
    for step_ms in steps:
        other.now_ms += step_ms
        other.market.advance(other.now_ms)
    due.until(other.now_ms - NOW_MS)
    other_heard, due_heard = other.reader.chain(), due.reader.chain()
    assert other_heard == due_heard[: len(other_heard)]
    assert due.market.next_due_ms() is None or due.market.next_due_ms() > due.now_ms
