"""The engine as a whole, as a trace: at a moment this comes, and these effects go out."""

from __future__ import annotations

from itertools import count

from coldframe.core.engine import Engine
from coldframe.model.effects import AppendJournal, CallRest, CommandAnswered, Effect, Finish, Log, OpenLink, SendControl, WakeAt
from coldframe.model.inputs import FramesReceived, Input, Lane, LinkOpened, ResolveAsked, Stamped, StopAsked, TimeReached
from coldframe.testing import Playbook
from coldframe.wire.codec import encode
from coldframe.wire.frames import envelope
from tests.core.made import START_NS, agg_trade
from tests.core.scripted import Actor, Scripted
from tests.core.trace import At, Like, at

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
