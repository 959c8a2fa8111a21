"""What a link has still to send."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from coldframe.exchange.endpoints.connection_life import GOING_AWAY, TOO_SLOW
from coldframe.exchange.endpoints.outgoing_frames import MOST_FRAMES
from coldframe.exchange.endpoints.stream_session import Allowance
from coldframe.exchange_server.links.outbox import Outbox


async def test_frames_leave_in_the_order_in_which_they_came() -> None:
    box = Outbox()
    box.put("a")
    box.put("b")
    assert [await box.wait_next(), await box.wait_next()] == ["a", "b"]


async def test_too_many_frames_overflow_the_box_for_good() -> None:
    box = Outbox()
    for number in range(MOST_FRAMES + 1):
        box.put(str(number))
    assert box.close_frame is TOO_SLOW
    assert await box.wait_next() is None
    box.put("late")
    assert len(box) == 0


async def test_an_ended_box_gives_what_it_holds_and_takes_no_more() -> None:
    box = Outbox()
    box.put("a")
    box.end(GOING_AWAY)
    box.put("b")
    assert [await box.wait_next(), await box.wait_next()] == ["a", None]


async def test_waiting_sender_continues_on_room_or_when_sending_ends() -> None:
    box, passed = Outbox(), []
    for number in range(3):
        box.put(str(number))

    async def wait(limit: int) -> None:
        await box.wait_below(limit)
        passed.append(limit)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, 3)
        nursery.start_soon(wait, 1)
        await wait_all_tasks_blocked()
        await box.wait_next()
        await wait_all_tasks_blocked()
        assert passed == [3]
        box.abandon()
    assert passed == [3, 1]


def test_an_allowance_lets_a_burst_pass_and_then_ten_a_second() -> None:
    allowance = Allowance(0)
    assert [allowance.spend(0) for _ in range(16)] == [True] * 15 + [False]
    assert allowance.spend(0.1)
    assert not allowance.spend(0.1)
    steady = Allowance(0)
    assert all(steady.spend(number / 10) for number in range(1000))
    assert all(Allowance(0).spend(number / 5) for number in range(1000))
