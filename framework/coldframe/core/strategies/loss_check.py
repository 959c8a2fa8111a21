"""Loss and drawdown limits, looked at after every tick: of each strategy, and of all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
    profits: dict[str, Decimal] = {}
    for runtime in runtimes:
        if not _countable(runtime.account.holdings, state):
            continue
        profit = profits[runtime.id] = runtime.account.holdings.profit(state.prices)
        verdict = runtime.account.losses.check(profit, ctx.venue_ms, f" of strategy {runtime.id}")
        if verdict is not None:
            state.trading.halt_strategy(runtime.id, verdict, ctx.now_ms)
            ctx.log(Level.ERROR, verdict.text)
            yield runtime
    if profits.keys() != state.accounts.keys():
        return
    hit = state.losses.check(_total(profits, state), ctx.venue_ms)
    if hit is not None:
        state.trading.halt_account(hit, ctx.now_ms)
        ctx.log(Level.ERROR, hit.text)
        yield None


def _total(profits: Mapping[str, Decimal], state: EngineState) -> Decimal:
    """Realised and unrealised profit of all strategies, funding received, fees subtracted.

    Strategies that are not part of the bot any more count with what they have left, so that nothing jumps when one goes.
    """
    return sum((account.profit(state.prices) for account in state.retired.values()), sum(profits.values(), ZERO))


def _countable(account: StrategyPositions, state: EngineState) -> bool:
    return all(symbol in state.mark_prices for (symbol, _), position in account.positions.items() if position.quantity)
