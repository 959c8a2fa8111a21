"""The life of market links: opened, subscribed at the right pace, trusted only for the data they bring, reopened when they fall."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.marketdata.links import ControlReplied, Feed, LinkEnded
from coldframe.core.marketdata.shards import FeedLimits, plan, silence_ms
from coldframe.units import NS_PER_MS, NS_PER_S
from coldframe.wire.frames import ControlError, ControlReply
from coldframe.wire.names import StreamName, parse
from tests.core.made import agg_trade, delta
from tests.core.wires import Wires
from tests.examples import examples

DEPTH, TRADES, TRADE_CURSOR = parse("btcusdt@depth@100ms"), parse("btcusdt@aggTrade"), parse("btcusdt@markPrice@1s")
ETH_DEPTH = parse("ethusdt@depth@100ms")
HOUR_MS = 3_600_000


def wires_of(*names: StreamName, limits: FeedLimits | None = None, chance: float = 0.5) -> Wires:
    limits = limits or FeedLimits()
    return Wires(Feed(plan(names, limits), limits, lambda: chance))


def running(*names: StreamName, limits: FeedLimits | None = None) -> Wires:
    """All links open, subscribed and acknowledged."""
    wires = wires_of(*names, limits=limits)
    wires.open_all()
    wires.pass_time(3_000)
    wires.acknowledge()
    return wires


def live(wires: Wires, ms: int, *names: StreamName) -> None:
    """So long the given depth streams speak once a second."""
    for second in range(ms // 1_000):
        wires.pass_time(1_000)
        for wire in [wire for wire in wires.wires.values() if wire.open]:
            for name in names:
                if str(name) in wire.subscribed:
                    number = wires.now_ns // NS_PER_S + second
                    wires.say(wire.id, name, delta(number, number + 1, symbol=name.symbol))
        wires.acknowledge()


# -- opening and asking -----------------------------------------------------------------------------------------------


def test_every_route_gets_its_own_link_and_subscribes_by_name() -> None:
    wires = running(DEPTH, TRADES, TRADE_CURSOR)
    assert {(wire.path, tuple(wire.subscribed)) for wire in wires.wires.values()} == {
        ("/public/stream", ("btcusdt@depth@100ms",)),
        ("/market/stream", ("btcusdt@aggTrade", "btcusdt@markPrice@1s")),
    }


def test_nothing_is_asked_for_before_a_link_stands() -> None:
    wires = wires_of(DEPTH, TRADES)
    wires.pass_time(2_000)
    assert not any(wire.requests for wire in wires.wires.values())


def test_a_feed_without_streams_does_nothing() -> None:
    wires = wires_of()
    assert wires.wires == {}
    assert wires.timers == {}


@pytest.mark.parametrize(("streams", "requests"), [(200, 1), (201, 2), (1024, 6)])
def test_names_are_asked_for_in_batches(streams: int, requests: int) -> None:
    names = [StreamName.of(f"s{number}usdt", "bookTicker") for number in range(streams)]
    wires = running(*names, limits=FeedLimits(streams_per_link=1024))
    (wire,) = wires.wires.values()
    assert [len(request[2]) for request in wire.requests] == [200] * (requests - 1) + [streams - 200 * (requests - 1)]
    assert list(wire.subscribed) == [str(name) for name in names]
    assert len({request[0] for request in wire.requests}) == requests


@given(seed=st.integers(0, 2**16), pace=st.integers(1, 5))
@settings(max_examples=examples(15))
def test_w20_no_rolling_second_sees_more_requests_than_allowed(seed: int, pace: int) -> None:
    chance = random.Random(seed)
    names = [StreamName.of(f"s{number}usdt", "depth") for number in range(24)]
    wires = wires_of(*names, limits=FeedLimits(names_per_request=2, control_per_s=pace, check_ms=100))
    wires.open_all()
    for _ in range(300):
        wires.pass_time(chance.choice((1, 100, 400, 700, 1_000, 5_000)))
        for wire in list(wires.wires.values()):
            # Most streams fall silent now and then, each at its own time, and are asked for again.
            for name in names:
                if wire.open and str(name) in wire.subscribed and chance.random() < 0.05:
                    wires.say(wire.id, name, delta(wires.now_ns, wires.now_ns + 1))
        wires.acknowledge()
        wires.open_all()
    for wire in wires.wires.values():
        times = [at for _, _, _, at in wire.requests]
        for first in times:
            assert sum(first <= at < first + NS_PER_S for at in times) <= pace
        assert len({number for number, _, _, _ in wire.requests}) == len(times)


def test_what_was_not_asked_for_brings_nothing() -> None:
    wires = running(DEPTH)
    (wire,) = wires.wires.values()
    wires.say(wire.id, TRADES, agg_trade(1))
    assert wires.told == []
    assert not wires.feed.in_charge(TRADES, wire.id)
    assert wires.feed.in_charge(DEPTH, wire.id)


def test_w20_a_refused_request_is_said() -> None:
    wires = running(DEPTH)
    (wire,) = wires.wires.values()
    refused = ControlReply(None, error=ControlError(4, "Too many subscriptions"))
    wires.do(wires.feed.step(ControlReplied(wire.id, refused), wires.now_ns))
    assert any("Too many subscriptions" in line for line in wires.log)


# -- falling and rising -----------------------------------------------------------------------------------------------


def test_lost_link_interrupts_its_own_streams_and_is_reopened() -> None:
    wires = running(DEPTH, TRADE_CURSOR)
    public = next(wire.id for wire in wires.wires.values() if wire.path == "/public/stream")
    wires.fall(public)
    assert [loss.names for loss in wires.lost] == [(DEPTH,)]
    wires.pass_time(1_000)
    assert [wire.path for wire in wires.wires.values() if not wire.open] == ["/public/stream"]
    wires.open_all()
    assert wires.feed.reconnects == 1
    assert sum("btcusdt@depth@100ms" in wire.subscribed for wire in wires.wires.values()) == 1


def test_a_link_that_cannot_be_opened_is_tried_ever_more_seldom() -> None:
    wires = wires_of(DEPTH)
    gaps = []
    for _ in range(12):
        (link,) = wires.wires
        wires.fall(link, "refused")
        before = wires.now_ns
        while not wires.wires:
            wires.pass_time(50)
        gaps.append((wires.now_ns - before) // NS_PER_MS)
    assert gaps[0] <= 300
    assert gaps == sorted(gaps)
    assert 29_000 <= gaps[-1] <= 60_000
    assert wires.lost == []
    assert wires.feed.reconnects == 0


def test_n12_only_a_link_that_stood_a_while_resets_the_backoff() -> None:
    """N12: a venue that flaps is not stormed."""
    wires = wires_of(DEPTH)
    for _ in range(600):
        for link in [wire.id for wire in wires.wires.values() if wire.open]:
            wires.fall(link)
        wires.open_all()
        wires.pass_time(1_000)
    assert wires.opened <= 30
    wires.pass_time(120_000)
    wires.open_all()
    live(wires, 6_000, DEPTH)
    (link,) = wires.wires
    wires.fall(link)
    wires.pass_time(500)
    assert len(wires.wires) == 1


def test_a_link_is_not_opened_before_a_ban_ends() -> None:
    wires = running(DEPTH)
    (link,) = wires.wires
    del wires.wires[link]
    wires.do(wires.feed.step(LinkEnded(link, "banned", wires.now_ns + 90 * NS_PER_S), wires.now_ns))
    wires.pass_time(89_999)
    assert wires.wires == {}
    wires.pass_time(1)
    assert len(wires.wires) == 1


# -- liveness by data -------------------------------------------------------------------------------------------------


def test_n7_a_deaf_link_is_reopened() -> None:
    wires = wires_of(DEPTH, ETH_DEPTH)
    wires.open_all()
    (link,) = wires.wires
    for number in range(15):
        if link in wires.wires:
            wires.say(link, DEPTH, delta(number, number + 1))
        wires.pass_time(1_000)
    assert link not in wires.wires
    assert any("no acknowledgement" in line for line in wires.log)
    assert [loss.names for loss in wires.lost] == [(DEPTH, ETH_DEPTH)]


def test_n8_silent_stream_is_resubscribed_without_its_neighbour() -> None:
    wires = running(DEPTH, ETH_DEPTH)
    (wire,) = wires.wires.values()
    live(wires, 32_000, DEPTH)
    assert [(method, names) for _, method, names, _ in wire.requests[1:]] == [
        ("UNSUBSCRIBE", ["ethusdt@depth@100ms"]),
        ("SUBSCRIBE", ["ethusdt@depth@100ms"]),
    ]
    assert [loss.names for loss in wires.lost] == [(ETH_DEPTH,)]
    assert wire.id in wires.wires


def test_n8_ever_silent_stream_reopens_its_link_only_once() -> None:
    """N8, but for ever: a contract that has ended must not tear its neighbours' link down again and again."""
    wires = running(DEPTH, ETH_DEPTH)
    for _ in range(12 * 60):
        live(wires, 60_000, DEPTH)
        wires.open_all()
    assert wires.opened == 2
    asked_again = sum(loss.names == (ETH_DEPTH,) for loss in wires.lost)
    assert 10 <= asked_again <= 60
    assert sum(DEPTH in loss.names for loss in wires.lost) == 1


def test_a_stream_that_speaks_again_is_treated_like_any_other() -> None:
    wires = running(DEPTH, ETH_DEPTH)
    live(wires, 300_000, DEPTH)
    wires.open_all()
    live(wires, 5_000, DEPTH, ETH_DEPTH)
    lost = len(wires.lost)
    live(wires, 32_000, DEPTH)
    assert len(wires.lost) == lost + 1


def test_a_link_that_is_silent_as_a_whole_is_reopened_at_once() -> None:
    wires = running(DEPTH, ETH_DEPTH)
    wires.pass_time(26_000)
    assert wires.lost == []
    wires.pass_time(3_000)
    assert [loss.names for loss in wires.lost] == [(DEPTH, ETH_DEPTH)]
    assert any("no data on 2 of 2 watched streams" in line for line in wires.log)


def test_streams_that_may_be_quiet_are_never_blamed() -> None:
    names = [parse(text) for text in ("btcusdt@aggTrade", "!forceOrder@arr", "!contractInfo", "btcusdt@kline_1m")]
    wires = running(*names)
    wires.pass_time(6 * HOUR_MS)
    assert wires.lost == []
    assert wires.opened == 1


def test_quiet_stream_does_not_hide_silence_of_watched_streams() -> None:
    wires = running(TRADE_CURSOR, TRADES)
    (wire,) = wires.wires.values()
    for number in range(12):
        if wire.id in wires.wires:
            wires.say(wire.id, TRADES, agg_trade(number))
        wires.pass_time(1_000)
    assert wire.id not in wires.wires


def test_patience_multiplies_the_deadline() -> None:
    allowed = silence_ms(TRADE_CURSOR)
    assert allowed is not None
    wires = running(TRADE_CURSOR, limits=FeedLimits(patience=4))
    wires.pass_time(4 * allowed - 3_000)
    assert wires.lost == []
    wires.pass_time(5_000)
    assert len(wires.lost) == 1
