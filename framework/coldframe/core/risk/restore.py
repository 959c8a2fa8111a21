"""What is shut until a person opens it, and from where losses are counted: both go into the journal, and outlive the run."""

from __future__ import annotations

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.risk.pre_trade import PreTradeRisk
from coldframe.core.state.journal_codec import counted_body, latched_body
from coldframe.core.state.loss_limits import Counted, Losses
from coldframe.core.state.positions import EXTERNAL
from coldframe.model.halting import Latched
from coldframe.model.journal import RowKind

#: Under which name the losses of the account stand in the journal, as its external positions do.
ACCOUNT = EXTERNAL


def latched_of(gate: PreTradeRisk) -> Latched:
    """What is latched now. Risk modes of the venue are not: it says them again."""
    return Latched(gate.latched, dict(gate.latches.strategies), dict(gate.latches.symbols))


def latch(gate: PreTradeRisk, latched: Latched) -> None:
    """Shuts what an earlier run had shut."""
    if latched.account is not None:
        gate.latched = gate.losses.latched = latched.account
    for strategy, verdict in latched.strategies.items():
        gate.latches.strategies[strategy] = verdict
        if strategy in gate.traders and verdict.code in ("LOSS", "DRAWDOWN"):
            gate.traders[strategy].losses.latched = verdict
    gate.latches.symbols.update(latched.symbols)


class RiskRows:
    """Writes down what is shut and from where losses are counted, after each change."""

    def __init__(self, ctx: StepContext, gate: PreTradeRisk, latched: Latched, counted: dict[str, Counted]) -> None:
        self._ctx = ctx
        self._gate = gate
        self._latched = latched
        #: Strategies that are not part of the bot any more are among them: one may come back.
        self.counted: dict[str, Counted] = dict(counted)
        for owner, losses in self._losses().items():
            losses.counted = counted.get(owner)

    def record(self) -> None:
        """Records what has changed since the last call."""
        latched = latched_of(self._gate)
        if latched != self._latched:
            self._latched = latched
            self._ctx.record(RowKind.LATCH, "", latched_body(latched))
        for owner, losses in self._losses().items():
            if losses.counted is not self.counted.get(owner):
                self._note(owner, losses.counted)

    def _note(self, owner: str, counted: Counted | None) -> None:
        if counted is None:
            self.counted.pop(owner, None)
        else:
            self.counted[owner] = counted
        self._ctx.record(RowKind.LOSSES, owner, counted_body(counted))

    def _losses(self) -> dict[str, Losses]:
        return {ACCOUNT: self._gate.losses, **{name: trader.losses for name, trader in self._gate.traders.items()}}
