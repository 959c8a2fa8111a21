"""What is shut until a person opens it, and from where losses are counted: both go into the journal, and outlive the run."""

from __future__ import annotations

from collections.abc import Iterator

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.journal_codec import counted_body, suspensions_body
from coldframe.core.state.loss_limits import Counted, Losses
from coldframe.core.state.positions import EXTERNAL
from coldframe.model.halting import LastingSuspensions
from coldframe.model.journal import RowKind

#: Under which name the losses of the account stand in the journal, as its external positions do.
ACCOUNT = EXTERNAL


class RiskRows:
    """Writes down what is shut and from where losses are counted, after each change."""

    def __init__(self, state: EngineState, ctx: StepContext, suspensions: LastingSuspensions, counted: dict[str, Counted]) -> None:
        self._state = state
        self._ctx = ctx
        self._suspensions = suspensions
        #: Strategies that are not part of the bot any more are among them: they may come back.
        self.counted: dict[str, Counted] = dict(counted)
        for owner, losses in self._losses():
            losses.restore_counted(counted.get(owner))

    def record(self) -> None:
        """Records what has changed since the last call."""
        suspensions = self._state.trading.lasting
        if suspensions is not self._suspensions and suspensions != self._suspensions:
            self._suspensions = suspensions
            self._ctx.record(RowKind.SUSPENSIONS, "", suspensions_body(suspensions))
        for owner, losses in self._losses():
            if losses.counted is not self.counted.get(owner):
                self._record_counted(owner, losses.counted)

    def _record_counted(self, owner: str, counted: Counted | None) -> None:
        if counted is None:
            self.counted.pop(owner, None)
        else:
            self.counted[owner] = counted
        self._ctx.record(RowKind.LOSSES, owner, counted_body(counted))

    def _losses(self) -> Iterator[tuple[str, Losses]]:
        yield ACCOUNT, self._state.losses
        for name, account in self._state.accounts.items():
            yield name, account.losses
