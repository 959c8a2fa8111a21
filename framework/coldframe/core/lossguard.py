"""Loss and drawdown limits, looked at after every tick: of each strategy, and of all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from coldframe.core.context import Context
from coldframe.core.risk import Gate
from coldframe.core.slots import Slot
from coldframe.model.effects import Level
from coldframe.units import ZERO


def newly_latched(ctx: Context, slots: Iterable[Slot], gate: Gate) -> Iterator[Slot | None]:
    """Who has hit a limit just now, latched and told; None stands for the whole run."""
    for slot in slots:
        verdict = slot.trader.losses.check(slot.trader.account.profit(gate.prices), f" of strategy {slot.id}")
        if verdict is not None:
            gate.latches.halt_strategy(slot.id, verdict)
            ctx.log(Level.ERROR, verdict.text)
            yield slot
    hit = gate.losses.check(total_profit(slots, gate))
    if hit is not None:
        gate.latched = hit
        ctx.log(Level.ERROR, hit.text)
        yield None


def total_profit(slots: Iterable[Slot], gate: Gate) -> Decimal:
    """Realised and unrealised profit of all strategies, funding received, fees subtracted."""
    return sum((slot.trader.account.profit(gate.prices) for slot in slots), ZERO)
