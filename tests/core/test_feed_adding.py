"""A stream that is wanted later: over a link that has room, whatever that link is doing at the moment."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.marketdata.links import Feed
from coldframe.core.marketdata.shards import FeedLimits, plan
from coldframe.wire.names import StreamName, parse
from tests.core.made import mark_price
from tests.core.wires import Wire, Wires
from tests.examples import examples

TRADES, BNB, DEPTH = parse("btcusdt@aggTrade"), parse("bnbusdt@markPrice"), parse("btcusdt@depth@100ms")
LIMITS = FeedLimits(rotate_after_ms=3_600_000, overlap_ms=30_000, patience=100)


def wires_of(*names: StreamName, limits: FeedLimits = LIMITS) -> Wires:
    return Wires(Feed(plan(names, limits), limits, lambda: 0.5))


def running(*names: StreamName, limits: FeedLimits = LIMITS) -> Wires:
    wires = wires_of(*names, limits=limits)
    wires.open_all()
    wires.acknowledge()
    return wires


def add(wires: Wires, name: StreamName = BNB) -> None:
    wires.do(wires.feed.add(name, wires.now_ns))


def carriers(wires: Wires, name: StreamName = BNB) -> list[Wire]:
    return [wire for wire in wires.wires.values() if str(name) in wire.subscribed]


def test_an_open_link_with_room_takes_one_more() -> None:
    wires = running(TRADES, DEPTH)
    add(wires)
    (wire,) = carriers(wires)
    assert wire.path == "/market/stream"
    assert wires.opened == 2
    wires.say(wire.id, BNB, mark_price("600", symbol="BNBUSDT"))
    assert [name for name, _ in wires.told] == [BNB]


def test_opening_link_subscribes_an_added_stream_with_the_rest() -> None:
    wires = wires_of(TRADES)
    add(wires)
    wires.open_all()
    (wire,) = carriers(wires)
    assert list(wire.subscribed) == [str(TRADES), str(BNB)]


@pytest.mark.parametrize("names", [(), (DEPTH,), (TRADES,)])
def test_where_no_link_has_room_another_is_opened(names: tuple[StreamName, ...]) -> None:
    wires = running(*names, limits=FeedLimits(streams_per_link=1))
    add(wires)
    wires.open_all()
    wires.acknowledge()
    (wire,) = carriers(wires)
    assert list(wire.subscribed) == [str(BNB)]
    wires.say(wire.id, BNB, mark_price("600", symbol="BNBUSDT"))
    wires.pass_time(60_000)
    assert any("no data" in line for line in wires.log), "its silence is noticed"


@pytest.mark.parametrize("successor_open", [True, False])
def test_during_a_rotation_both_links_carry_it(successor_open: bool) -> None:
    wires = running(TRADES)
    (old,) = wires.wires
    wires.do(wires.feed.rotate(old, wires.now_ns, "for a test"))
    if successor_open:
        wires.open_all()
    add(wires)
    wires.open_all()
    wires.acknowledge()
    assert len(carriers(wires)) == 2
    wires.say(old, BNB, mark_price("600", symbol="BNBUSDT", event_ms=1))
    wires.pass_time(31_000)
    (wire,) = carriers(wires)
    assert wire.id != old
    wires.say(wire.id, BNB, mark_price("601", symbol="BNBUSDT", event_ms=2))
    assert len(wires.told) == 2


def test_it_comes_back_with_its_link() -> None:
    wires = running(TRADES)
    add(wires)
    wires.fall(next(iter(wires.wires)))
    wires.pass_time(5_000)
    wires.open_all()
    assert len(carriers(wires)) == 1


@given(seed=st.integers(0, 2**16))
@settings(max_examples=examples(60))
def test_streams_added_at_any_moment_are_delivered_once_in_order(seed: int) -> None:
    chance, limits = random.Random(seed), FeedLimits(streams_per_link=3, rotate_after_ms=40_000, overlap_ms=5_000, patience=100)
    wires = wires_of(TRADES, limits=limits)
    wanted: list[StreamName] = []
    for step in range(60):
        match chance.randrange(6):
            case 0 if len(wanted) < 8:
                wanted.append(parse(f"s{len(wanted)}usdt@markPrice"))
                add(wires, wanted[-1])
            case 1 if wires.wires:
                wires.fall(chance.choice(list(wires.wires)))
            case 2:
                wires.pass_time(chance.choice((100, 3_000, 20_000)))
            case _:
                wires.open_all()
                wires.acknowledge()
        for wire in list(wires.wires.values()):
            for name in wanted if chance.random() < 0.5 else ():
                if str(name) in wire.subscribed:
                    wires.say(wire.id, name, mark_price("1", symbol=name.symbol, event_ms=step))
    for _ in range(40):
        wires.open_all()
        wires.acknowledge()
        wires.pass_time(2_000)
    for name in wanted:
        times = [message.event_ms for told, message in wires.told if told == name]
        assert times == sorted(set(times))
        before = len(wires.told)
        for wire in carriers(wires, name):
            wires.say(wire.id, name, mark_price("1", symbol=name.symbol, event_ms=1_000))
        assert len(wires.told) == before + 1, "each of them is heard in the end"
