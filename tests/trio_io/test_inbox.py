"""The queue into the engine: its lanes, its bounds, and what is dropped when market data comes faster than it is taken."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from coldframe.errors import InvariantBroken
from coldframe.model.inputs import FramesDropped, FramesReceived, Input, Lane, LinkLost, LinkOpened, Stamped, TimeReached
from coldframe.trio_io.inbox import Inbox


class Tick:
    """A clock that goes where it is told, also back."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


def taken(inbox: Inbox, most: int = 64) -> list[Stamped]:
    return trio.run(inbox.receive, most)


def events(inbox: Inbox, most: int = 64) -> list[Input]:
    return [row.event for row in taken(inbox, most)]


def test_control_and_private_go_before_market() -> None:
    inbox = Inbox(Tick())
    inbox.put_frames("public-1.1", [b"1", b"2"])
    inbox.put(Lane.PRIVATE, FramesReceived("api.1", (b"answer",)))
    inbox.put(Lane.CONTROL, TimeReached("now"))
    assert events(inbox) == [
        FramesReceived("api.1", (b"answer",)),
        TimeReached("now"),
        FramesReceived("public-1.1", (b"1", b"2")),
    ]


def test_frames_of_a_link_are_delivered_before_its_loss() -> None:
    inbox = Inbox(Tick())
    inbox.put(Lane.CONTROL, LinkOpened("api.1"))
    inbox.put(Lane.PRIVATE, FramesReceived("api.1", (b"fill",)))
    inbox.put(Lane.CONTROL, LinkLost("api.1", "closed"))
    assert events(inbox) == [LinkOpened("api.1"), FramesReceived("api.1", (b"fill",)), LinkLost("api.1", "closed")]


def test_lanes_numbers_and_stamps() -> None:
    tick = Tick()
    inbox = Inbox(tick)
    for ns, put in (
        (10, lambda: inbox.put_frames("m", [b"early"])),
        (30, lambda: inbox.put(Lane.PRIVATE, FramesReceived("p", (b"late",)))),
        (20, lambda: inbox.put(Lane.CONTROL, TimeReached("the clock went back"))),
    ):
        tick.ns = ns
        put()
    stamped = taken(inbox)
    assert [(input_.seq, input_.at_ns, input_.lane) for input_ in stamped] == [
        (1, 30, Lane.PRIVATE),
        (2, 30, Lane.CONTROL),
        (3, 30, Lane.MARKET),
    ]
    inbox.put(Lane.CONTROL, TimeReached("again"))
    assert [(row.seq, row.at_ns) for row in taken(inbox)] == [(4, 30)]


def test_market_is_taken_in_portions_and_the_rest_stays() -> None:
    inbox = Inbox(Tick())
    for number in range(10):
        inbox.put_frames("m", [b"%d" % number])
    inbox.put(Lane.CONTROL, TimeReached("first"))
    assert len(taken(inbox, 4)) == 4
    assert events(inbox, 100) == [FramesReceived("m", (b"%d" % number,)) for number in range(3, 10)]


def test_control_and_private_are_never_left_behind() -> None:
    inbox = Inbox(Tick())
    for number in range(100):
        inbox.put(Lane.PRIVATE, FramesReceived("p", (b"%d" % number,)))
    inbox.put_frames("m", [b"later"])
    assert len(taken(inbox, 4)) == 100
    assert events(inbox, 4) == [FramesReceived("m", (b"later",))]


async def test_taking_waits_until_there_is_something(autojump_clock: MockClock) -> None:
    inbox = Inbox(Tick())
    got: list[Input] = []

    async def reader() -> None:
        while len(got) < 2:
            got.extend(item.event for item in await inbox.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        await trio.sleep(1)
        assert got == []
        inbox.put(Lane.CONTROL, TimeReached("a"))
        await trio.sleep(1)
        assert got == [TimeReached("a")]
        inbox.put_frames("m", [b"b"])
    assert got[1] == FramesReceived("m", (b"b",))


# -- too much ---------------------------------------------------------------------------------------------------------


def test_n13_a_link_that_brings_too_much_loses_what_waits_of_it() -> None:
    inbox = Inbox(Tick(), market_limit=10)
    inbox.put_frames("busy", [b"1"] * 5)
    inbox.put_frames("calm", [b"2"] * 2)
    inbox.put_frames("busy", [b"3"] * 2)
    inbox.put_frames("busy", [b"4"] * 2)
    assert events(inbox) == [
        FramesDropped("busy", 7),
        FramesReceived("calm", (b"2",) * 2),
        FramesReceived("busy", (b"4",) * 2),
    ]


def test_without_own_frames_waiting_the_oldest_link_loses_frames() -> None:
    inbox = Inbox(Tick(), market_limit=10)
    inbox.put_frames("oldest", [b"1"] * 4)
    inbox.put_frames("other", [b"2"] * 4)
    inbox.put_frames("oldest", [b"3"])
    inbox.put_frames("new", [b"4"] * 5)
    assert events(inbox) == [
        FramesDropped("oldest", 5),
        FramesReceived("other", (b"2",) * 4),
        FramesReceived("new", (b"4",) * 5),
    ]


def test_the_bound_holds_when_the_link_itself_has_little_to_give() -> None:
    inbox = Inbox(Tick(), market_limit=10)
    inbox.put_frames("small", [b"1"])
    inbox.put_frames("large", [b"2"] * 9)
    inbox.put_frames("small", [b"3"] * 5)
    assert events(inbox) == [FramesDropped("small", 1), FramesDropped("large", 9), FramesReceived("small", (b"3",) * 5)]


def test_n13_private_inputs_are_never_dropped_the_run_ends() -> None:
    inbox = Inbox(Tick(), private_limit=3)
    for number in range(3):
        inbox.put(Lane.PRIVATE, FramesReceived("p", (b"%d" % number,)))
    with pytest.raises(InvariantBroken, match="the engine does not keep up"):
        inbox.put(Lane.CONTROL, TimeReached("one too many"))
    assert len(taken(inbox)) == 3


# -- against a naive model --------------------------------------------------------------------------------------------

links = st.sampled_from(["a", "b", "c"])
steps = st.one_of(
    st.tuples(st.just("frames"), links, st.integers(1, 6)),
    st.tuples(st.just("control"), links, st.integers(-3, 5)),
    st.tuples(st.just("private"), links, st.integers(-3, 5)),
    st.tuples(st.just("take"), st.none(), st.integers(1, 5)),
)
LIMIT = 12


class Naive:
    """One list of everything that waits, searched anew each time."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, Lane, Input]] = []
        self.seq = 0
        self.last = 0

    def market(self) -> list[tuple[int, Lane, FramesReceived]]:
        return [(at, lane, event) for at, lane, event in self.waiting if isinstance(event, FramesReceived) and lane is Lane.MARKET]

    def frames(self, at: int, link: str, frames: list[bytes]) -> None:
        while self.market() and sum(len(event.frames) for _, _, event in self.market()) + len(frames) > LIMIT:
            known = [event.link for _, _, event in self.market()]
            victim = link if link in known else known[0]
            gone = [item for item in self.market() if item[2].link == victim]
            self.waiting = [waiter for waiter in self.waiting if waiter not in gone]
            self.waiting.append((at, Lane.CONTROL, FramesDropped(victim, sum(len(event.frames) for _, _, event in gone))))
        self.waiting.append((at, Lane.MARKET, FramesReceived(link, tuple(frames))))

    def take(self, most: int) -> list[Stamped]:
        first = [waiter for waiter in self.waiting if waiter[1] is not Lane.MARKET]
        chosen = first + [waiter for waiter in self.waiting if waiter[1] is Lane.MARKET][: max(most - len(first), 0)]
        self.waiting = [waiter for waiter in self.waiting if waiter not in chosen]
        stamped = []
        for at, lane, event in chosen:
            self.seq += 1
            self.last = max(self.last, at)
            stamped.append(Stamped(self.seq, self.last, lane, event))
        return stamped


@given(st.lists(steps, max_size=40))
def test_against_a_naive_inbox(script: list[tuple[str, str, int]]) -> None:
    tick, naive = Tick(), Naive()
    inbox = Inbox(tick, market_limit=LIMIT)
    for serial, (kind, link, number) in enumerate(script):
        if kind == "take":
            if naive.waiting:
                assert taken(inbox, number) == naive.take(number)
            continue
        tick.ns += number
        if kind == "frames":
            frames = [b"%d.%d" % (serial, n) for n in range(number)]
            inbox.put_frames(link, frames)
            assert sum(len(waiting) for _, _, waiting in inbox._market) <= LIMIT
            naive.frames(tick.ns, link, frames)
        else:
            lane = Lane.CONTROL if kind == "control" else Lane.PRIVATE
            event: Input = TimeReached(link) if lane is Lane.CONTROL else FramesReceived(link, (b"%d" % serial,))
            inbox.put(lane, event)
            naive.waiting.append((tick.ns, lane, event))
    if naive.waiting:
        assert taken(inbox, 1_000) == naive.take(1_000)


async def test_what_comes_from_another_thread_wakes_and_goes_first() -> None:
    tick = Tick()
    inbox = Inbox(tick)
    token = trio.lowlevel.current_trio_token()
    got: list[Stamped] = []

    async def take() -> None:
        got.extend(await inbox.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        await trio.testing.wait_all_tasks_blocked()
        tick.ns = 5
        await trio.to_thread.run_sync(inbox.put_from_thread, token, TimeReached("brake"))
    assert [(row.event, row.at_ns, row.lane) for row in got] == [(TimeReached("brake"), 5, Lane.CONTROL)]
    # What the venue said meanwhile waits behind what the kill switch did, and no stamp goes back.
    inbox.put(Lane.PRIVATE, FramesReceived("user", (b"report",)))
    tick.ns = 9
    await trio.to_thread.run_sync(inbox.put_from_thread, token, TimeReached("first"))
    await trio.to_thread.run_sync(inbox.put_from_thread, token, TimeReached("second"))
    after = await inbox.receive()
    assert [row.event for row in after] == [TimeReached("first"), TimeReached("second"), FramesReceived("user", (b"report",))]
    assert [row.at_ns for row in after] == [9, 9, 9]


def test_what_comes_after_the_end_of_the_run_is_dropped() -> None:
    async def run() -> tuple[Inbox, trio.lowlevel.TrioToken]:
        return Inbox(Tick()), trio.lowlevel.current_trio_token()

    inbox, token = trio.run(run)
    inbox.put_from_thread(token, TimeReached("late"))
