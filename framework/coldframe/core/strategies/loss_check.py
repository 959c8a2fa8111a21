"""Loss and drawdown limits, looked at after every tick: of each strategy, and of all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.risk.pre_trade import PreTradeRisk
from coldframe.core.state.positions import StrategyPositions
from coldframe.core.strategies.runtime import StrategyRuntime
from coldframe.model.effects import Level
from coldframe.units import ZERO


def newly_latched(ctx: StepContext, slots: Iterable[StrategyRuntime], gate: PreTradeRisk) -> Iterator[StrategyRuntime | None]:
    """Who has hit a limit just now, latched and told; None stands for the whole run.

    While a position has no mark price, the profit of its owner is not known, and its losses are not looked at.
    """
    for slot in slots:
        if not _countable(slot.trader.account, gate):
            continue
        verdict = slot.trader.losses.check(slot.trader.account.profit(gate.prices), ctx.venue_ms, f" of strategy {slot.id}")
        if verdict is not None:
            gate.latches.halt_strategy(slot.id, verdict)
            ctx.log(Level.ERROR, verdict.text)
            yield slot
    if not all(_countable(trader.account, gate) for trader in gate.traders.values()):
        return
    hit = gate.losses.check(total_profit(gate), ctx.venue_ms)
    if hit is not None:
        gate.latched = hit
        ctx.log(Level.ERROR, hit.text)
        yield None


def total_profit(gate: PreTradeRisk) -> Decimal:
    """Realised and unrealised profit of all strategies, funding received, fees subtracted.

    Strategies that are not part of the bot any more count with what they have left, so that nothing jumps when one goes.
    """
    accounts = (*(trader.account for trader in gate.traders.values()), *gate.retired.values())
    return sum((account.profit(gate.prices) for account in accounts), ZERO)


def _countable(account: StrategyPositions, gate: PreTradeRisk) -> bool:
    return all(symbol in gate.marks for (symbol, _), position in account.positions.items() if position.quantity)
