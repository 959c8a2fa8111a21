"""What the state needs of the step in which it changes: the moment, a line, a row for the journal, an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from coldframe.model.effects import Level
from coldframe.model.engine_events import EngineEvent
from coldframe.model.journal import RowKind


class Step(Protocol):
    """The running step, as the state sees it; `coldframe.core.connectivity.step_context` is one."""

    @property
    def now_ns(self) -> int: ...
    @property
    def now_ms(self) -> int: ...
    @property
    def venue_ms(self) -> int: ...
    def log(self, level: Level, text: str) -> None: ...
    def record(self, kind: RowKind, ref: str, body: Mapping[str, object]) -> None: ...
    def publish(self, event: EngineEvent) -> None: ...
