"""The engine as a whole, as a trace: at a moment this comes, and these effects go out."""

from __future__ import annotations

from itertools import count

from coldframe.core.engine import Engine
from coldframe.core.execution.owed_fills import OwedFills
from coldframe.model.effects import (
    AppendJournal,
    CallRest,
    CommandAnswered,
    Effect,
    Finish,
    Log,
    OpenLink,
    SendControl,
    SendRequest,
    Told,
    WakeAt,
)
from coldframe.model.inputs import (
    FramesReceived,
    Input,
    JournalChanged,
    Lane,
    LinkLost,
    LinkOpened,
    ResolveAsked,
    Stamped,
    StopAsked,
    TimeReached,
)
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderState
from coldframe.testing import Playbook
from coldframe.wire.codec import encode
from coldframe.wire.frames import envelope
from tests.core.made import START_NS, agg_trade
from tests.core.scripted import Actor, Scripted
from tests.core.told import AtVenue, Trade, place
from tests.core.trace import Alone, At, Like, OrderWorld, at, changed, filled

TRADES = "btcusdt@aggTrade"


class Steps:
    """An engine that is stepped with numbered inputs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seq = count(1)

    def step(self, given: At) -> list[Effect]:
        now_ns = START_NS + given.ms * 1_000_000
        if callable(given.event):
            return self._engine.start(now_ns)
        event: Input = given.event  # type: ignore[assignment]
        return self._engine.step(Stamped(next(self._seq), now_ns, Lane.CONTROL, event))


def test_trace_of_the_engine() -> None:
    actor = Actor()
    made = Scripted(actor, channels=["aggTrade"], orders_on=False)
    engine: Engine = made.engine
    link = "market-1.1"
    play = Playbook(Steps(engine), ignore=(Log, AppendJournal, WakeAt))
    assert (
        play
        >> at(0, engine.start)
        << Like(OpenLink, link=link)
        >> at(50, LinkOpened(link))
        << Like(SendControl, link=link)
        >> at(60, FramesReceived(link, (b'{"result":null,"id":1}',)))
        >> at(100, FramesReceived(link, (envelope(TRADES, encode(agg_trade(1))),)))
        >> at(200, TimeReached("clock:quick:200"))
        << Like(CallRest, path="/fapi/v1/time")
        >> at(300, ResolveAsked("cf.mm.1.1", "filled", "command-1"))
        << Like(CommandAnswered, command="command-1", accepted=False)
        >> at(400, StopAsked("signal"))
        << Finish("signal")
    )
    assert len(actor.seen) == 4


def test_trace_of_rows_of_the_journal() -> None:
    """What has changed in a step is written down at its end: an order, what is shut, and the whole state when it is time to."""
    actor = Actor()
    made = Scripted(actor, checkpoint_rows=12).ready()
    engine = made.engine
    start = (made.now_ns - START_NS) // 1_000_000
    wanted = [[place(price="99.5")], []]
    actor.acts["on_wake"] = lambda *_: wanted.pop(0)
    (link,) = [link for link in made.links if engine.trading is not None and engine.trading.session.owns(link)]

    def row(kind: RowKind) -> Like:
        return Like(AppendJournal, kind=kind)

    assert (
        Playbook(Steps(engine), ignore=(Log, WakeAt))
        >> at(start, TimeReached("wake:mm:"))
        << Like(SendRequest, method="order.place")
        << row(RowKind.REQUEST)
        << row(RowKind.INTENT)
        << row(RowKind.ORDER)
        >> at(start + 5, JournalChanged("the disk is full"))
        >> at(start + 10, JournalChanged("", lost=2))
        << row(RowKind.CHECKPOINT)
        >> at(start + 20, LinkLost(link, "reset by peer"))
        << Like(Told, strategy="mm")
        << row(RowKind.ORDER)
    )


def test_trace_of_fills_that_are_owed() -> None:
    world = OrderWorld()
    owed = OwedFills(world.state, world.ctx)
    order = world.stand(place(price="99.5"))
    look = owed.log_changes
    venue = AtVenue.of(order, 77)
    venue.trade(Trade(1, "0.5"))
    assert (
        Playbook(Alone(world.ctx, world.executor.step), ignore=(AppendJournal,))
        >> at(0, look)
        # An answer counts a fill that nothing tells.
        >> at(10, lambda: world.reports.reply(order, venue.reply()))
        << changed(OrderState.PARTIALLY_FILLED)
        >> at(100, look)
        >> at(6_000, look)
        >> at(6_100, look)
        << Log
        >> at(6_200, look)
        >> at(6_300, lambda: world.reports.step(venue.lite(venue.trades[0])) and None)
        << filled("0.5")
        << Log
        >> at(6_400, look)
        << Log
    )
