"""What the machines of the order side share in a step: the moment, the clock offset, the rate limits, and where effects go."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from coldframe.core.connectivity.backoff import Chance
from coldframe.core.connectivity.clock_offset import ClockOffset
from coldframe.core.connectivity.connect_budget import ConnectBudget
from coldframe.core.connectivity.due_checks import DueChecks
from coldframe.core.connectivity.rate_limits import RateLimits
from coldframe.model.effects import AppendJournal, Effect, Level, LinkKind, Log, WakeAt
from coldframe.model.engine_events import EngineEvent
from coldframe.model.journal import RowKind
from coldframe.units import NS_PER_MS


@attrs.define
class StepContext:
    """One per engine. `now_ns` is set at the beginning of a step, `effects` is taken away at its end."""

    chance: Chance
    clock: ClockOffset = attrs.field(factory=ClockOffset)
    rate_limits: RateLimits = attrs.field(factory=RateLimits)
    connects: ConnectBudget = attrs.field(factory=ConnectBudget)
    now_ns: int = 0
    effects: list[Effect] = attrs.field(factory=list)
    #: What has happened in this step and was not handed on yet, oldest first.
    events: list[EngineEvent] = attrs.field(factory=list)

    @property
    def now_ms(self) -> int:
        return self.now_ns // NS_PER_MS

    @property
    def venue_ms(self) -> int:
        """The venue's time now."""
        return self.clock.venue_ms(self.now_ns)

    def begin_step(self, at_ns: int) -> None:
        """A step begins at this moment."""
        self.now_ns = at_ns

    def emit(self, effect: Effect) -> None:
        self.effects.append(effect)

    def publish(self, event: EngineEvent) -> None:
        """Says what has happened; the engine hands it on."""
        self.events.append(event)

    def take_events(self) -> list[EngineEvent]:
        """What has happened since this was last called, in order."""
        taken, self.events = self.events, []
        return taken

    def log(self, level: Level, text: str) -> None:
        self.effects.append(Log(level, text))

    def wake(self, key: str, after_ms: int) -> None:
        """Asks for `TimeReached(key)` after so many milliseconds."""
        self.effects.append(WakeAt(key, self.now_ns + after_ms * NS_PER_MS))

    def check(self, checks: DueChecks, due_ns: int | None) -> None:
        """Asks for a check of a machine when something of it is due; None: nothing is."""
        self.effects += checks.at(due_ns, self.now_ns)

    def connect(self, kind: LinkKind) -> int:
        """Counts a connect that may take place now: 0; else how long it has to wait, in milliseconds."""
        wait_ms, said = self.connects.reserve(kind, self.now_ns)
        if said:
            self.log(Level.WARNING, said)
        return wait_ms

    def record(self, kind: RowKind, ref: str, body: Mapping[str, object]) -> None:
        """A row for the journal."""
        self.effects.append(AppendJournal(kind, ref, body))

    def take_effects(self) -> list[Effect]:
        """The effects of this step, in order; the list is empty afterwards."""
        taken, self.effects = self.effects, []
        return taken
