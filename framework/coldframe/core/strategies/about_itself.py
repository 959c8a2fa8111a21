"""What a strategy wants of itself and of no order: to be woken, and to save a value. Neither adds risk: only its form is judged."""

from __future__ import annotations

from typing import assert_never

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.state.engine_state import EngineState
from coldframe.core.strategies.runtime import MOST_WAKES, StrategyRuntime
from coldframe.model.intents import ACCEPTED, NO_CHANGE, SaveState, Verdict, VerdictCode, WakeMe


def about_itself(runtime: StrategyRuntime, wanted: WakeMe | SaveState, state: EngineState, ctx: StepContext) -> Verdict:
    """Does what a strategy wants of itself."""
    match wanted:
        case WakeMe():
            return _wake(runtime, wanted, ctx)
        case SaveState(value):
            return ACCEPTED if state.saved.save(runtime.id, value) else NO_CHANGE
        case unknown:
            assert_never(unknown)


def _wake(runtime: StrategyRuntime, wanted: WakeMe, ctx: StepContext) -> Verdict:
    """A wake-up takes a millisecond at least, so that a strategy that wakes itself all the time leaves time to pass."""
    if wanted.key not in runtime.wakes and len(runtime.wakes) >= MOST_WAKES:
        return Verdict(VerdictCode.MALFORMED, f"{MOST_WAKES} wake-ups are waited for already")
    runtime.wakes.add(wanted.key)
    ctx.wake(f"wake:{runtime.id}:{wanted.key}", max(wanted.after_ms, 1))
    return ACCEPTED
