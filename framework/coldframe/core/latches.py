"""What is shut until a person opens it, as one value: it goes into the journal, and a restart shuts it again."""

from __future__ import annotations

from coldframe.core.risk import Gate
from coldframe.model.halting import Latched


def latched_of(gate: Gate) -> Latched:
    """What is latched now. Risk modes of the venue are not: it says them again."""
    return Latched(gate.latched, dict(gate.latches.strategies), dict(gate.latches.symbols))


def latch(gate: Gate, latched: Latched) -> None:
    """Shuts what an earlier run had shut. Losses are counted anew once somebody has opened it."""
    if latched.account is not None:
        gate.latched = gate.losses.latched = latched.account
    for strategy, verdict in latched.strategies.items():
        gate.latches.strategies[strategy] = verdict
        if strategy in gate.traders and verdict.code in ("LOSS", "DRAWDOWN"):
            gate.traders[strategy].losses.latched = verdict
    gate.latches.symbols.update(latched.symbols)
