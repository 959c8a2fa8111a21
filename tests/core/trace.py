"""A machine alone, as `Playbook` plays it: at a moment something comes, and these effects, events and answers go out.

assert Playbook(alone) >> at(0, LinkOpened("api.1")) << wake("session:check", 250) << SendRequest(...)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from coldframe.core.connectivity.step_context import StepContext
from coldframe.model.effects import WakeAt
from coldframe.units import NS_PER_MS
from tests.core.made import START_NS


@attrs.frozen
class At:
    """What comes at a moment, in milliseconds after the start: an input, or something that the machine is told to do."""

    ms: int
    event: object

    def __str__(self) -> str:
        return f"{self.ms} ms: {self.event}"


def at(ms: int, event: object) -> At:
    return At(ms, event)


def wake(key: str, ms: int) -> WakeAt:
    """The effect that asks for `TimeReached(key)` at this many milliseconds after the start."""
    return WakeAt(key, START_NS + ms * NS_PER_MS)


def context() -> StepContext:
    """A step context that begins at the start, with a chance that is always in the middle."""
    return StepContext(lambda: 0.5, now_ns=START_NS)


class Alone:
    """One machine and its context. What `step` returns comes after the events and effects of the same step."""

    def __init__(self, ctx: StepContext, step: Callable[[Any], object]) -> None:
        self._ctx = ctx
        self._step = step

    def step(self, given: At) -> list[object]:
        self._ctx.begin_step(START_NS + given.ms * NS_PER_MS)
        returned = given.event() if callable(given.event) else self._step(given.event)
        answers = returned if isinstance(returned, Sequence) else [] if returned is None else [returned]
        return [*self._ctx.take_events(), *self._ctx.take_effects(), *answers]
