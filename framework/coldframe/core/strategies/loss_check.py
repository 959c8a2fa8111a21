"""Loss and drawdown limits, looked at after every tick: of each strategy, and of all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.positions import StrategyPositions
from coldframe.core.strategies.runtime import StrategyRuntime
from coldframe.model.effects import Level
from coldframe.units import ZERO


def limits_just_hit(ctx: StepContext, runtimes: Iterable[StrategyRuntime], state: EngineState) -> Iterator[StrategyRuntime | None]:
    """Who has hit a limit just now, suspended and told; None stands for the whole run.

    While a position has no mark price, the profit of its owner is not known, and its losses are not looked at.
    """
    for runtime in runtimes:
        if not _countable(runtime.account.holdings, state):
            continue
        verdict = runtime.account.losses.check(
            runtime.account.holdings.profit(state.prices), ctx.venue_ms, f" of strategy {runtime.id}"
        )
        if verdict is not None:
            state.trading.halt_strategy(runtime.id, verdict, ctx.now_ms)
            ctx.log(Level.ERROR, verdict.text)
            yield runtime
    if not all(_countable(account.holdings, state) for account in state.accounts.values()):
        return
    hit = state.losses.check(total_profit(state), ctx.venue_ms)
    if hit is not None:
        state.trading.halt_account(hit, ctx.now_ms)
        ctx.log(Level.ERROR, hit.text)
        yield None


def total_profit(state: EngineState) -> Decimal:
    """Realised and unrealised profit of all strategies, funding received, fees subtracted.

    Strategies that are not part of the bot any more count with what they have left, so that nothing jumps when one goes.
    """
    accounts = (*(account.holdings for account in state.accounts.values()), *state.retired.values())
    return sum((account.profit(state.prices) for account in accounts), ZERO)


def _countable(account: StrategyPositions, state: EngineState) -> bool:
    return all(symbol in state.mark_prices for (symbol, _), position in account.positions.items() if position.quantity)
