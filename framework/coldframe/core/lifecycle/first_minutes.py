"""A run begins small: for its first minutes only a fraction of what positions and orders may come to is allowed.

What a new version, a new machine or a new setting gets wrong shows in the first minutes, at a fraction of the price. Every run
begins like this, also one that a supervisor has started again. What only reduces is never held back.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.state.engine_state import EngineState
from coldframe.model.effects import Level
from coldframe.model.inputs import TimeReached
from coldframe.units import MS_PER_S, trimmed

_MINUTE_MS = 60 * MS_PER_S


@attrs.frozen
class FirstMinutes:
    """How long a run stays small, and how small; 0 minutes: it never is."""

    minutes: int = 0
    fraction: Decimal = Decimal("0.1")


class StartGuard:
    """Sets the part of the limits that may be used, and takes it away when the time has come (`guard:…`)."""

    def __init__(self, state: EngineState, ctx: StepContext, first: FirstMinutes) -> None:
        self._state = state
        self._ctx = ctx
        self._first = first

    def start(self) -> None:
        """The run begins."""
        first = self._first
        if not first.minutes:
            return
        self._state.limits_scaled(first.fraction)
        self._ctx.wake("guard:end", first.minutes * _MINUTE_MS)
        share = f"{trimmed(first.fraction)} of max_position, max_notional, max_order_notional and max_gross_notional"
        self._ctx.log(Level.WARNING, f"risk.first_minutes: for {first.minutes} min this run may use {share}")
        for line in self._too_small():
            self._ctx.log(Level.WARNING, line)

    def _too_small(self) -> list[str]:
        """The contracts in which not even the least order that the venue takes is allowed meanwhile."""
        state, most = self._state, self._state.scaled(self._state.limits.max_order_notional)
        symbols = sorted({symbol for account in state.accounts.values() for symbol in account.symbols} & set(state.instruments))
        return [
            f"{symbol}: an order may come to {trimmed(most)} until then, and the venue takes none below {trimmed(least)}:"
            " risk.first_minutes.fraction is too small for it"
            for symbol in symbols
            if (least := state.instruments[symbol].filters.min_notional) is not None and most is not None and most < least
        ]

    def step(self, event: TimeReached) -> None:
        """The first minutes are over (`guard:end`)."""
        self._state.limits_scaled(Decimal(1))
        self._ctx.log(Level.WARNING, f"risk.first_minutes: {self._first.minutes} min are over, this run may use its whole limits")
