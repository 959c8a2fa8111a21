"""What a run writes down at the end of a step: orders that have changed, what was refused, what is shut, losses, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.lifecycle.risk_rows import RiskRows
from coldframe.core.reconciliation.order_side import OrderSide
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.journal_codec import RestoredState, checkpoint_body, order_body, state_body
from coldframe.core.state.loss_limits import Counted
from coldframe.model.effects import AppendJournal, Level
from coldframe.model.inputs import JournalChanged
from coldframe.model.journal import RowKind


class JournalRows:
    """Records at the end of a step. `past` is what an earlier run has left, `epoch_ms` when this one began."""

    def __init__(
        self,
        state: EngineState,
        ctx: StepContext,
        trading: OrderSide | None,
        past: RestoredState,
        epoch_ms: int,
        rows: int,
    ) -> None:
        self._state = state
        self._ctx = ctx
        self._trading = trading
        self._past = past
        self._epoch_ms = epoch_ms
        #: After so many rows a checkpoint is due.
        self._rows = rows
        self._risk = RiskRows(state, ctx, past.suspensions, past.losses)
        self._count = 0

    @property
    def counted(self) -> Mapping[str, Counted]:
        """From where losses are counted, by owner, as it was last written down."""
        return self._risk.counted

    def took_over(self) -> None:
        """What an earlier run has left is taken over: if that is anything, a checkpoint holds it."""
        if self._past.orders or self._past.accounts or self._past.suspensions:
            self.need_checkpoint()

    def journal_changed(self, changed: JournalChanged) -> None:
        """Without a journal nothing that adds risk may leave; cancels do. What it has lost, a checkpoint makes good."""
        if changed.fault:
            self._state.trading.journal_failed(changed.fault, self._ctx.now_ms)
            self._ctx.log(Level.ERROR, f"the journal cannot be written: {changed.fault}: no new risk, cancels go out")
        else:
            self._state.trading.journal_recovered()
            self._ctx.log(Level.WARNING, "the journal can be written again")
        if changed.lost:
            text = f"{changed.lost} journal rows were dropped meanwhile: writing a checkpoint of the whole state"
            self._ctx.log(Level.ERROR, text)
            self.need_checkpoint()

    def need_checkpoint(self) -> None:
        """The whole state is written down at the end of this step."""
        self._count = self._rows

    @property
    def waiting(self) -> bool:
        """Whether there is something to write down that a step without effects may have brought about."""
        state = self._state
        return bool(state.orders.touched or state.saved.unrecorded or state.refused.unwritten)

    def record(self, *, last: bool = False) -> None:
        """Rows of orders and saved values that have changed in this step, and a checkpoint if due. `last`: the run is over."""
        for name, order in self._state.orders.take_changed().items():
            self._ctx.record(RowKind.ORDER, name, order_body(order))
        for strategy, value in self._state.saved.take_changed().items():
            self._ctx.record(RowKind.STATE, strategy, state_body(value))
        self._risk.record()
        self._record_refused(last)
        self._count += sum(isinstance(effect, AppendJournal) for effect in self._ctx.effects)
        if self._count >= self._rows:
            self._checkpoint()

    def _record_refused(self, last: bool) -> None:
        """What was refused in a second that is over; the engine is woken when this one is."""
        refused, now_ms = self._state.refused, self._ctx.now_ms
        for body in refused.drain(now_ms, all_of_them=last):
            self._ctx.record(RowKind.REFUSED, body["strategy"], body)
        after_ms = refused.ask_wake_ms(now_ms)
        if after_ms:
            self._ctx.wake("refused", after_ms)

    def _checkpoint(self) -> None:
        self._count, past, state, trading = 0, self._past, self._state, self._trading
        body = checkpoint_body(
            state.orders,
            state.all_positions,
            state.holdings.executions,
            state.orders.trade_cursors,
            state.trading.lasting,
            trading.assets.recorded if trading is not None else past.prices,
            self._risk.counted,
            trading.account.payments.latest if trading is not None else past.payments,
            state.saved.everything(),
            self._epoch_ms,
            past.since_ms or self._epoch_ms,
            past.runs + 1,
        )
        self._ctx.record(RowKind.CHECKPOINT, past.account, body)
