"""The alarm clock: every moment once, in order, never early, and only the latest one of a key."""

from __future__ import annotations

from collections.abc import Callable

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from coldframe.model.inputs import Lane, Stamped, TimeReached
from coldframe.trio_io.clock import Clock
from coldframe.trio_io.inbox import Inbox
from coldframe.trio_io.timers import Timers
from coldframe.units import NS_PER_MS, NS_PER_S

START_NS = 1_700_000_000_000_000_000


class Rig:
    """Timers in virtual time, and what they have sent."""

    def __init__(self, spare: int) -> None:
        self.clock = Clock(START_NS)
        self.inbox = Inbox(self.clock.now_ns)
        self.timers = Timers(self.clock, self.inbox, spare)
        self.rung: list[tuple[int, str]] = []

    def set(self, key: str, after_ns: int) -> None:
        self.timers.set(key, START_NS + after_ns)

    async def listen(self) -> None:
        while True:
            for stamped in await self.inbox.receive():
                self.note(stamped)

    def note(self, stamped: Stamped) -> None:
        assert isinstance(stamped.event, TimeReached)
        assert stamped.lane is Lane.CONTROL
        assert stamped.at_ns == self.clock.now_ns()
        self.rung.append((stamped.at_ns - START_NS, stamped.event.key))


def in_virtual_time(script: Callable[[Rig], object], until_s: float, spare: int = 1_000) -> list[tuple[int, str]]:
    """Plays an asynchronous script beside running timers; returns when which key came."""

    async def run() -> list[tuple[int, str]]:
        rig = Rig(spare)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.timers.run)
            nursery.start_soon(rig.listen)
            nursery.start_soon(script, rig)  # type: ignore[arg-type]
            await trio.sleep(until_s)
            nursery.cancel_scope.cancel()
        return rig.rung

    return trio.run(run, clock=MockClock(autojump_threshold=0))


def test_moments_come_in_order_and_on_time() -> None:
    async def script(rig: Rig) -> None:
        rig.set("c", 3 * NS_PER_S)
        rig.set("a", 1 * NS_PER_S)
        await trio.sleep(0.5)
        rig.set("b", 2 * NS_PER_S)
        rig.set("before all", 600 * NS_PER_MS)

    assert in_virtual_time(script, 10) == [
        (600 * NS_PER_MS, "before all"),
        (1 * NS_PER_S, "a"),
        (2 * NS_PER_S, "b"),
        (3 * NS_PER_S, "c"),
    ]


def test_asking_again_replaces_the_earlier_moment() -> None:
    async def script(rig: Rig) -> None:
        rig.set("later", 1 * NS_PER_S)
        rig.set("later", 5 * NS_PER_S)
        rig.set("sooner", 5 * NS_PER_S)
        rig.set("sooner", 1 * NS_PER_S)
        rig.set("there and back", 1 * NS_PER_S)
        rig.set("there and back", 2 * NS_PER_S)
        rig.set("there and back", 1 * NS_PER_S)

    assert in_virtual_time(script, 20) == [(1 * NS_PER_S, "sooner"), (1 * NS_PER_S, "there and back"), (5 * NS_PER_S, "later")]


def test_what_lies_in_the_past_comes_at_once() -> None:
    async def script(rig: Rig) -> None:
        await trio.sleep(2)
        rig.set("past", 1 * NS_PER_S)

    assert in_virtual_time(script, 10) == [(2 * NS_PER_S, "past")]


def test_a_key_may_be_asked_for_again_when_it_has_come() -> None:
    async def script(rig: Rig) -> None:
        for second in range(1, 4):
            rig.set("again", second * NS_PER_S)
            await trio.sleep(1.5)

    assert in_virtual_time(script, 10) == [
        (1 * NS_PER_S, "again"),
        (2 * NS_PER_S, "again"),
        (3 * NS_PER_S, "again"),
    ]


def test_many_keys() -> None:
    async def script(rig: Rig) -> None:
        for number in range(5_000):
            rig.set(f"key {number}", (number * 7919 % 5_000 + 1) * NS_PER_MS)

    rung = in_virtual_time(script, 10)
    assert [at for at, _ in rung] == [(number + 1) * NS_PER_MS for number in range(5_000)]
    assert len({key for _, key in rung}) == 5_000


@given(st.lists(st.tuples(st.integers(0, 500), st.sampled_from("abcd"), st.integers(1, 1500)), max_size=25))
def test_against_a_naive_alarm_clock(asks: list[tuple[int, str, int]]) -> None:
    """Each ask: after a pause in milliseconds, a key, and how much later (in odd nanoseconds) it is wanted."""
    odd = 1_234_567

    async def script(rig: Rig) -> None:
        for pause_ms, key, after in asks:
            await trio.sleep(pause_ms / 1000)
            rig.timers.set(key, rig.clock.now_ns() + after * odd)

    wanted: dict[str, int] = {}
    expected: list[tuple[int, str]] = []
    now = 0

    def due(until: int) -> None:
        ready = sorted((at, key) for key, at in wanted.items() if at <= until)
        for at, key in ready:
            del wanted[key]
            expected.append((at, key))

    for pause_ms, key, after in asks:
        now += pause_ms * NS_PER_MS
        due(now)
        wanted[key] = now + after * odd
    due(now + 10 * NS_PER_S)
    assert in_virtual_time(script, 30) == expected


def test_replaced_moments_do_not_pile_up() -> None:
    sizes: list[int] = []

    async def script(rig: Rig) -> None:
        rig.set("first", 1 * NS_PER_S)
        for number in range(10_000):
            rig.set(f"key {number % 5}", (10_000 - number) * NS_PER_S)
            sizes.append(len(rig.timers._heap))

    rung = in_virtual_time(script, 100, spare=10)
    assert max(sizes) <= 10 + 2 * 6 + 1
    assert rung == [(1 * NS_PER_S, "first"), *((number * NS_PER_S, f"key {(10_000 - number) % 5}") for number in range(1, 6))]
