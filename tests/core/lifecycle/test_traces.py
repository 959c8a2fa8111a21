"""Each machine of a run's beginning, halts and end, alone, as a trace: at a moment this comes, and that goes out."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from coldframe.core.lifecycle.first_minutes import FirstMinutes, StartGuard
from coldframe.core.lifecycle.kill_switch import KillSwitch
from coldframe.core.lifecycle.shutdown import Shutdown
from coldframe.enums import PositionSide, Side
from coldframe.model.effects import CallRest, HaltTaken, Log, SendRequest
from coldframe.model.events import OrderChanged
from coldframe.model.halting import HaltLevel
from coldframe.model.inputs import (
    EmergencyOrderAnswered,
    EmergencyOrderSent,
    HaltAsked,
    ResumeAsked,
    StopAsked,
    TimeReached,
    WeightSpent,
)
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderState
from coldframe.testing import Playbook
from tests.core.made import START_NS, SYMBOL
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place
from tests.core.trace import Alone, Like, OrderWorld, at, changed, row, wake

MINUTE_MS = 60_000


def now_ms(made: Scripted) -> int:
    """How long a world has run."""
    return (made.now_ns - START_NS) // 1_000_000


def test_trace_of_the_first_minutes() -> None:
    world = OrderWorld(max_order_notional=D(1_000))
    guard = StartGuard(world.state, world.ctx, FirstMinutes(5, Decimal("0.1")))
    assert (
        Playbook(Alone(world.ctx, guard.step))
        >> at(0, guard.start)
        << wake("guard:end", 5 * MINUTE_MS)
        << Log
        >> at(10, lambda: [world.state.scaled(D(1_000))])
        << D(100)
        >> at(5 * MINUTE_MS, TimeReached("guard:end"))
        << Log
        >> at(5 * MINUTE_MS, lambda: [world.state.scaled(D(1_000))])
        << D(1_000)
    )


def test_trace_of_the_kill_switch() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    switch: KillSwitch = made.engine.halting
    made.want(actor, place(price="99.5"))
    start = now_ms(made)
    ordered = EmergencyOrderSent("mm", "cf.mm.kill.1", SYMBOL, Side.SELL, D(1), PositionSide.BOTH, start)
    assert (
        Playbook(Alone(made.engine._ctx, switch.step), ignore=(Log,))
        >> at(start + 10, HaltAsked(HaltLevel.CANCEL, "mm", "by a person", 7))
        << row(RowKind.HALT, "mm")
        << Like(SendRequest, method="order.cancel")
        << row(RowKind.REQUEST)
        << HaltTaken(7)
        # The kill switch's own thread orders where the engine does not answer; what it did is taken in here.
        >> at(start + 500, ordered)
        << changed(OrderState.SUBMITTED)
        >> at(start + 600, EmergencyOrderAnswered("cf.mm.kill.1", None, "timed out"))
        << changed(OrderState.UNKNOWN)
        >> at(start + 610, WeightSpent(40))
        >> at(start + 900, ResumeAsked("mm", 8))
        << row(RowKind.HALT, "mm")
        << HaltTaken(8)
    )


def stepped(ending: Shutdown) -> Callable[[StopAsked | TimeReached], None]:
    """A step as the engine makes it: after it the ending asks for its next look."""

    def step(event: StopAsked | TimeReached) -> None:
        ending.step(event)
        ending.ask_for_check(changed=isinstance(event, StopAsked))

    return step


def test_trace_of_an_end() -> None:
    """The run shall end: what is open is cancelled, and its outcome is waited for, up to the grace time."""
    actor = Actor()
    made = Scripted(actor, grace_ms=1_000).ready()
    ending: Shutdown = made.engine.ending
    made.want(actor, place(price="99.5"))
    start = now_ms(made)
    play = (
        Playbook(Alone(made.engine._ctx, stepped(ending)), ignore=(Log,))
        >> at(start + 10, StopAsked("signal"))
        << Like(SendRequest, method="order.cancel")
        << row(RowKind.REQUEST)
        << wake("stop:check", start + 60)
    )
    assert ending.over is None
    # Nothing has come since: it is looked at again when the grace time is over.
    assert play >> at(start + 60, TimeReached("stop:check")) << wake("stop:check", start + 1_010)
    assert ending.over is None
    # Its answer is overdue by now: once more, by the other way. Then the grace time is over.
    assert play >> at(start + 1_010, TimeReached("stop:check")) << Like(CallRest, verb="DELETE")
    assert ending.over == "signal"
    assert [order.strategy for order in ending.report().left] == ["mm"]


def test_trace_of_an_end_asked_for_twice() -> None:
    actor = Actor()
    made = Scripted(actor, grace_ms=60_000).ready()
    made.want(actor, place(price="99.5"))
    start = now_ms(made)
    assert (
        Playbook(Alone(made.engine._ctx, stepped(made.engine.ending)), ignore=(Log,))
        >> at(start + 10, StopAsked("signal"))
        << Like(SendRequest, method="order.cancel")
        << row(RowKind.REQUEST)
        << wake("stop:check", start + 60)
        >> at(start + 20, StopAsked("signal"))
    )
    assert made.engine.ending.over == "asked again: not waiting for open orders"
    assert actor.told(OrderChanged)
