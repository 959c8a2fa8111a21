"""One engine among its Trio tasks: its effects performed, what happens brought to it, in the order in which it happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, assert_never

import trio

from coldframe.core.engine import Engine
from coldframe.errors import AuthenticationRefused, ColdframeError, ConfigError
from coldframe.model.effects import (
    AppendJournal,
    CallRest,
    CloseLink,
    CommandAnswered,
    Effect,
    EffectRunner,
    Fail,
    Finish,
    HaltTaken,
    Level,
    Log,
    OpenLink,
    SendControl,
    SendRequest,
    ShiftClock,
    StayAway,
    Told,
    WakeAt,
)
from coldframe.model.inputs import Lane, RequestNotWritten, Stamped
from coldframe.trio_io.clock import Clock, stopwatch_ns
from coldframe.trio_io.connections import Connections
from coldframe.trio_io.heartbeat import Heartbeat
from coldframe.trio_io.inbox import Inbox
from coldframe.trio_io.journal import Journal
from coldframe.trio_io.timers import Timers
from coldframe.units import NS_PER_MS

#: So many inputs, and so long, before the sockets have their turn: a hook that is slow may use it up alone.
_INPUTS_PER_TURN: Final = 64
_TURN_NS: Final = 20_000_000


class StepWatch(Protocol):
    """What looks at every step of an engine, before its effects are performed."""

    def started(self, at_ns: int, effects: Sequence[Effect]) -> None:
        """The engine has begun."""

    def stepped(self, stamped: Stamped, effects: Sequence[Effect]) -> None:
        """The engine has taken an input in."""


class TrioEffectRunner(EffectRunner):
    """Inbox, links, REST and timers of one engine; their tasks live in the nursery that is given."""

    def __init__(
        self,
        nursery: trio.Nursery,
        clock: Clock,
        connections: Connections,
        log: Callable[[Level, str], None],
        tell: Callable[[Told], None] | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._nursery = nursery
        self._clock = clock
        self._connections = connections
        self._log = log
        self._tell = tell
        self.journal = journal
        self.inbox = Inbox(clock.now_ns)
        if journal is not None:
            journal.changed = lambda event: self.inbox.put(Lane.CONTROL, event)
        self.links = connections.links(nursery, self.inbox, clock)
        self._timers = Timers(clock, self.inbox)
        self.heartbeat = Heartbeat()
        #: Looks at every step; None: nothing does.
        self.watch: StepWatch | None = None
        #: Told when the engine has taken in a halt, and the number of the last request that it had made by then.
        self.halt_taken: Callable[[int, int], None] = lambda number, last: None
        self.command_answered: Callable[[CommandAnswered], None] = lambda answer: None
        #: When what the engine decides on now had come in, and the newest request that it has made (their numbers only grow).
        self._decided_ms = 0
        self._last_request_id = 0
        #: Why the engine has finished; None while it has not.
        self.finished: str | None = None
        nursery.start_soon(self._timers.run)

    async def drive(self, engine: Engine) -> None:
        """Lets the engine live until it finishes. This is the engine task: the only reader of the inbox."""
        self.links.offset_ms = engine.clock_offset_ms
        began_ns = self._clock.now_ns()
        effects = engine.start(began_ns)
        if self.watch is not None:
            self.watch.started(began_ns, effects)
        self.perform_all(effects)
        while self.finished is None:
            await self._turn(engine)
            self.heartbeat.beat()
            await trio.lowlevel.checkpoint()
        await self.links.close_all()

    async def _turn(self, engine: Engine) -> None:
        """Steps through what waits, until the sockets have to have their turn.

        What is private goes first, before every single market input: a slow hook must not hold up the answers and fills of others.
        """
        taken = await self.inbox.receive(1)
        until_ns = stopwatch_ns() + _TURN_NS
        for _ in range(_INPUTS_PER_TURN):
            for stamped in taken:
                self._decided_ms = stamped.at_ns // NS_PER_MS
                effects = engine.step(stamped)
                if self.watch is not None:
                    self.watch.stepped(stamped, effects)
                self.perform_all(effects)
            if self.finished is not None or self.inbox.empty or stopwatch_ns() >= until_ns:
                return
            taken = await self.inbox.receive(1)  # something is there: this does not wait

    def perform_all(self, effects: Sequence[Effect]) -> None:
        """Does what a step wants done. Its rows go to the journal first, so that nothing of it is done before it is recorded."""
        if self.journal is not None:
            records = [effect for effect in effects if isinstance(effect, AppendJournal)]
            if records:
                self.journal.record(records)
        for effect in effects:
            self.perform(effect)

    def _send(self, request: SendRequest) -> None:
        """What adds risk leaves when its row is durable, and not at all when that cannot be."""
        self._last_request_id = request.request_id
        decided_ms = self._decided_ms
        if self.journal is None or not request.risky:
            self.links.send_request(request, decided_ms)
            return
        self.journal.when_durable(
            lambda: self.links.send_request(request, decided_ms),
            lambda fault: self.inbox.put(
                Lane.CONTROL, RequestNotWritten(request.link, request.request_id, f"not in the journal: {fault}")
            ),
        )

    def perform(self, effect: Effect) -> None:
        """Does one thing that the engine wants done, without waiting for it."""
        match effect:
            case SendRequest():
                self._send(effect)
            case WakeAt(key, at_ns):
                self._timers.set(key, at_ns)
            case Log(level, text):
                self._log(level, text)
            case AppendJournal():
                pass  # with the journal already
            case Told():
                self.heartbeat.note_position(effect)
                if self._tell is not None:
                    self._tell(effect)
            case CallRest():
                self._nursery.start_soon(self._connections.rest_for(effect.path).perform, effect, self.inbox)
            case SendControl():
                self.links.send_control(effect)
            case OpenLink():
                self.links.open(effect)
            case CloseLink():
                self.links.close(effect)
            case ShiftClock(offset_ms):
                self.links.offset_ms = self._connections.order_rest.offset_ms = offset_ms
            case HaltTaken(number):
                self.halt_taken(number, self._last_request_id)
            case StayAway(until_ms):
                self._connections.stay_away(until_ms, self._clock.now_ms())
            case CommandAnswered():
                self.command_answered(effect)
            case Finish(reason):
                self.finished = reason
            case Fail(kind, text):
                known = {"AuthenticationRefused": AuthenticationRefused, "ConfigError": ConfigError}
                raise known.get(kind, ColdframeError)(*text.split("\n"))
            case unknown:
                assert_never(unknown)
