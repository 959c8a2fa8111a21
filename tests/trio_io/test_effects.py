"""One engine among its Trio tasks: every effect finds its task, inputs come in order, and failures end the run."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import cast

import attrs
import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from coldframe.core.engine import Engine
from coldframe.enums import OrderType, Side, TimeInForce
from coldframe.errors import AuthenticationRefused, ColdframeError
from coldframe.model.effects import (
    CallRest,
    CloseLink,
    Effect,
    Fail,
    Finish,
    Level,
    LinkKind,
    Log,
    OpenLink,
    SendControl,
    SendRequest,
    ShiftClock,
    Told,
    WakeAt,
)
from coldframe.model.events import OrderChanged
from coldframe.model.inputs import (
    FramesReceived,
    Lane,
    LinkLost,
    LinkOpened,
    RequestNotWritten,
    RequestWritten,
    RestAnswered,
    Stamped,
    StopAsked,
    TimeReached,
)
from coldframe.trio_io.inbox import Inbox
from coldframe.units import NS_PER_S
from tests.trio_io import web
from tests.trio_io.effects_rig import Script, running_effects
from tests.trio_io.peer import CLOSE, Line, close, listening, text
from tests.trio_io.web import Asked, serving
from tests.virtual_time import pass_time

FILLED = Told(
    "maker",
    OrderChanged("BTCUSDT", 1, "cf-1", Side.BUY, OrderType.LIMIT, TimeInForce.GTX, Decimal(1), Decimal(2), Decimal(2), "filled"),
)


async def test_every_effect_finds_its_task() -> None:
    paths: list[str] = []
    told: list[bytes] = []

    async def script(line: Line) -> None:
        await line.accept()
        paths.append(line.path)
        told.append(await line.next_text())
        await line.send(text("answer"))
        while (await line.next_frame())[0] != CLOSE:
            pass
        await line.send(close(1000))

    def answer(asked: Asked) -> web.Told:
        return web.Told(asked.target.encode())

    async with listening(script) as market, listening(script) as orders, serving(answer) as site:
        stub = Script(
            [
                Log(Level.WARNING, "said"),
                FILLED,
                OpenLink("m.1", LinkKind.MARKET, "/public/stream"),
                SendControl("m.1", b'{"method":"SUBSCRIBE"}'),
                OpenLink("api.1", LinkKind.API, ""),
                SendRequest("api.1", 1, "session.status", {}),
                SendRequest("absent", 2, "session.status", {}),
                CallRest(7, "GET", "/fapi/v1/depth", {"symbol": "BTCUSDT"}),
                ShiftClock(321),
                WakeAt("late", 0),
            ]
        )
        async with running_effects(f"ws://127.0.0.1:{market}", f"ws://127.0.0.1:{orders}", site.port) as (runner, connections, log):

            async def finish_when_all_was_heard() -> None:
                await stub.wait_for({LinkOpened, RequestWritten, RequestNotWritten, RestAnswered, TimeReached}, frames=2)
                stub.rules[StopAsked] = [CloseLink("m.1", "done"), Finish("because")]
                runner.inbox.put(Lane.CONTROL, StopAsked("now"))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(finish_when_all_was_heard)
                await runner.drive(cast("Engine", stub))
            assert runner.finished == "because"
            assert log == [(Level.WARNING, "said"), FILLED]
            assert runner.links.offset_ms == connections.order_rest.offset_ms == 321
            assert connections.market_rest.offset_ms == 0
    assert sorted(paths) == ["/public/stream", "/ws-fapi/v1"]
    assert sorted(told) == [b'{"id":1,"method":"session.status","params":{}}', b'{"method":"SUBSCRIBE"}']
    assert [event for event in stub.events if isinstance(event, LinkLost)] == []
    answers = [event.answer.body for event in stub.events if isinstance(event, RestAnswered) and event.answer]
    assert answers == [b"/fapi/v1/depth?symbol=BTCUSDT"]
    assert [event.seq for event in stub.heard] == list(range(1, len(stub.heard) + 1))
    assert [event.at_ns for event in stub.heard] == sorted(event.at_ns for event in stub.heard)


async def test_clock_offset_found_before_the_start_is_used_at_once(autojump_clock: MockClock) -> None:
    async with running_effects("ws://127.0.0.1:9", "ws://127.0.0.1:9") as (runner, _, _):
        await runner.drive(cast("Engine", Script([Finish("at once")], clock_offset_ms=-44)))
        assert runner.links.offset_ms == -44
        assert runner.finished == "at once"


async def test_an_engine_wakes_itself_in_virtual_time(autojump_clock: MockClock) -> None:
    stub = Script([], {StopAsked: [Finish("done")]})
    async with running_effects("ws://127.0.0.1:9", "ws://127.0.0.1:9") as (runner, _, _):
        runner.perform(WakeAt("soon", runner.inbox._now_ns() + 5 * NS_PER_S))

        async def stop_later() -> None:
            await trio.sleep(7)
            runner.inbox.put(Lane.CONTROL, StopAsked("enough"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_later)
            await runner.drive(cast("Engine", stub))
    assert stub.events == [TimeReached("soon"), StopAsked("enough")]
    assert stub.heard[1].at_ns - stub.heard[0].at_ns == 2 * NS_PER_S


@pytest.mark.parametrize(("kind", "error"), [("AuthenticationRefused", AuthenticationRefused), ("Anything", ColdframeError)])
async def test_an_engine_that_cannot_go_on_ends_the_run(kind: str, error: type[ColdframeError]) -> None:
    async def run() -> None:
        async with running_effects("ws://127.0.0.1:9", "ws://127.0.0.1:9") as (runner, _, _):
            await runner.drive(cast("Engine", Script([Fail(kind, "the venue refuses the log-on")])))

    with pytest.raises(ExceptionGroup) as group:
        await run()
    assert group.group_contains(error, match="the venue refuses the log-on")


@attrs.define
class SlowScript(Script):
    """Market inputs take long: a plugin is slow. In the midst of the fifth one a private input comes."""

    inbox: Inbox | None = None
    turns: list[int] = attrs.field(factory=list)

    def step(self, stamped: Stamped) -> list[Effect]:
        self.heard.append(stamped)
        assert self.inbox is not None
        if isinstance(stamped.event, FramesReceived):
            pass_time(0.015)
            if self.count(FramesReceived) == 5:
                self.inbox.put(Lane.PRIVATE, TimeReached("news"))
            if self.count(FramesReceived) == 30:
                return [Finish("enough")]
        return []


async def test_s9_slow_plugin_delays_no_private_inputs_and_no_sockets(autojump_clock: MockClock) -> None:
    stub = SlowScript([])
    async with running_effects("ws://127.0.0.1:9", "ws://127.0.0.1:9") as (runner, _, _):
        stub.inbox = runner.inbox
        for number in range(200):
            runner.inbox.put_frames("m.1", [str(number).encode()])

        async def have_turns() -> None:
            while True:
                stub.turns.append(stub.count(FramesReceived))
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(have_turns)
            await runner.drive(cast("Engine", stub))
            nursery.cancel_scope.cancel()
    news = next(place for place, event in enumerate(stub.events) if isinstance(event, TimeReached))
    assert news == 5, "it is the next thing that is heard"
    most = max(after - before for before, after in itertools.pairwise(stub.turns))
    assert most <= 6, "other tasks run after a few slow inputs, not after 64"
