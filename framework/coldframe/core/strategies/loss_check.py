"""Loss and drawdown limits, looked at after every tick: of each strategy, and of all of them together.

Looked at is what has changed: the same profit on the same day meets no limit that it did not meet before.
"""

from __future__ import annotations

from collections.abc import Iterator

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.loss_limits import DAY_MS
from coldframe.core.strategies.runtime import StrategyRuntime, StrategyRuntimes
from coldframe.model.effects import Level


def limits_just_hit(ctx: StepContext, runtimes: StrategyRuntimes, state: EngineState) -> Iterator[StrategyRuntime | None]:
    """Who has hit a limit just now, suspended and told; None stands for the whole run.

    While a position has no mark price, the profit of its owner is not known, and its losses are not looked at.
    """
    profits = state.profits
    changed = profits.changed(ctx.venue_ms // DAY_MS)
    for strategy in changed:
        if not profits.known(strategy):
            continue
        verdict = state.accounts[strategy].losses.check(profits.of(strategy), ctx.venue_ms, f" of strategy {strategy}")
        if verdict is not None:
            state.trading.halt_strategy(strategy, verdict, ctx.now_ms)
            ctx.log(Level.ERROR, verdict.text)
            yield runtimes.get(strategy)
    if not profits.all_known:
        return
    hit = state.losses.check(profits.total, ctx.venue_ms)
    if hit is not None:
        state.trading.halt_account(hit, ctx.now_ms)
        ctx.log(Level.ERROR, hit.text)
        yield None
