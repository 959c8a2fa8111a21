"""One brain among its shells: its effects performed, what happens brought to it, in the order in which it happens."""

from __future__ import annotations

from collections.abc import Callable

import trio

from coldframe.core.engine import Engine
from coldframe.errors import AuthenticationRefused, ColdframeError, ConfigError
from coldframe.model.effects import (
    CallRest,
    CloseLink,
    Effect,
    Fail,
    Finish,
    Level,
    Log,
    OpenLink,
    SendControl,
    SendRequest,
    ShiftClock,
    Told,
    WakeAt,
)
from coldframe.runtime.connections import Connections
from coldframe.shell.clock import Clock
from coldframe.shell.inbox import Inbox
from coldframe.shell.timers import Timers


class Shells:
    """Inbox, links, REST and timers of one brain; their tasks live in the nursery that is given."""

    def __init__(
        self,
        nursery: trio.Nursery,
        clock: Clock,
        connections: Connections,
        log: Callable[[Level, str], None],
        tell: Callable[[Told], None] | None = None,
    ) -> None:
        self._nursery = nursery
        self._clock = clock
        self._connections = connections
        self._log = log
        self._tell = tell
        self.inbox = Inbox(clock.now_ns)
        self.links = connections.links(nursery, self.inbox, clock)
        self._timers = Timers(clock, self.inbox)
        #: Why the brain has finished; None while it has not.
        self.finished: str | None = None
        nursery.start_soon(self._timers.run)

    async def drive(self, engine: Engine) -> None:
        """Lets the brain live until it finishes. This is the engine task: the only reader of the inbox."""
        self.links.offset_ms = engine.clock_offset_ms
        for effect in engine.start(self._clock.now_ns()):
            self.perform(effect)
        while self.finished is None:
            for stamped in await self.inbox.take():
                for effect in engine.step(stamped):
                    self.perform(effect)
            await trio.lowlevel.checkpoint()
        await self.links.close_all()

    def perform(self, effect: Effect) -> None:
        """Does one thing that the brain wants done, without waiting for it."""
        match effect:
            case SendRequest():
                self.links.send_request(effect)
            case WakeAt(key, at_ns):
                self._timers.set(key, at_ns)
            case Log(level, text):
                self._log(level, text)
            case Told():
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
            case Finish(reason):
                self.finished = reason
            case Fail(kind, text):
                known = {"AuthenticationRefused": AuthenticationRefused, "ConfigError": ConfigError}
                raise known.get(kind, ColdframeError)(*text.split("\n"))
