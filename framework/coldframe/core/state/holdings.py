"""What strategies and others hold, position by position: together always what the account has, as far as it is known.

Fills of our own orders are booked by `coldframe.core.execution.execution_reports`; everything else that changes a position is
booked here, written down and told: executions of others (`coldframe.core.state.shares` says whose they are), what is found at the
start, and differences that no trade explains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from coldframe.core.state.external import External
from coldframe.core.state.journal_codec import booking_body
from coldframe.core.state.orders import Fill
from coldframe.core.state.position_history import Adjustment, PositionHistory
from coldframe.core.state.positions import EXTERNAL, Position, PositionKey, StrategyPositions, named
from coldframe.core.state.shares import Executions, Parts, SharedExecution, Shift, execution_of, shared_out
from coldframe.core.state.step import Step
from coldframe.enums import Side
from coldframe.model.effects import Level
from coldframe.model.engine_events import StrategyTold
from coldframe.model.events import PositionCause, PositionChanged
from coldframe.model.journal import RowKind
from coldframe.units import ZERO, plain, trimmed


class Holdings:
    """The positions of all owners. `strategies` are their sub-accounts, `step_of` names the lot step of a symbol."""

    def __init__(
        self,
        ctx: Step,
        strategies: Mapping[str, StrategyPositions],
        others: External,
        step_of: Callable[[str], Decimal] = lambda symbol: ZERO,
    ) -> None:
        self._ctx = ctx
        self._strategies = strategies
        self._external = others
        #: The lot step of a symbol, ZERO while it is not known.
        self._step_of = step_of
        self.history = PositionHistory(self.position_sum, self.position_keys)
        self.executions = Executions()
        #: What was booked because the exchange's positions demanded it, and no trade explained it.
        self.adjustments: list[Adjustment] = []
        #: How often, and by what, strategies' positions were changed from outside.
        self.changes: dict[str, dict[PositionCause, int]] = {}

    @property
    def accounts(self) -> dict[str, StrategyPositions]:
        """The sub-accounts by owner."""
        return {**self._strategies, EXTERNAL: self._external.account}

    def held(self, key: PositionKey) -> Parts:
        """What each owner has of a position now."""
        none = Position()
        return {owner: account.positions.get(key, none).quantity for owner, account in self.accounts.items()}

    def position_sum(self, key: PositionKey) -> Decimal:
        """What all owners have of a position together."""
        return sum(self.held(key).values(), ZERO)

    def position_keys(self) -> set[PositionKey]:
        """Every position that any owner has had."""
        return {key for account in self.accounts.values() for key in account.positions}

    def restore(self, executions: Executions) -> None:
        """Goes on where an earlier run has left off: its last executions are known."""
        self.executions = executions
        for execution in executions:
            if execution.external:
                self._external.remember(_fill_of(execution))

    # -- executions ---------------------------------------------------------------------------------------------------

    def own(self, strategy: str, fill: Fill) -> None:
        """A fill of one of a strategy's orders has been booked to it."""
        self._known(execution_of(strategy, fill))

    def book_external(self, fill: Fill, cause: PositionCause) -> bool:
        """Books an external execution and shares it out. Returns whether it was new."""
        if not self._external.book(fill, cause):
            return False
        self._known(execution_of(EXTERNAL, fill, cause.value))
        return True

    def take_back(self, fill: Fill) -> bool:
        """An execution that counted as one of others is ours: undoes what was booked for it. Returns whether it was known."""
        execution = self.executions.get((fill.symbol, fill.position_side), (fill.trade_id, fill.order_id))
        if execution is not None and execution.external:
            back = {owner: -part for owner, part in execution.parts.items() if owner != EXTERNAL}
            fees = {owner: -part for owner, part in execution.fees(execution.parts).items() if owner != EXTERNAL}
            self._book(Shift(execution, back, fees), PositionCause.OWN_AFTER_ALL)
            self.executions.remove(execution)
        return self._external.give_back(fill.key)

    def _known(self, execution: SharedExecution) -> None:
        """An execution has been booked: it is shared out if it is one of others, and later ones are looked at anew."""
        late = self.executions.add(execution)
        if late or execution.external:
            step = self._step_of(execution.symbol)
            for shift in self.executions.shifts(execution, self.held(execution.key), step):
                self._book(shift, PositionCause(shift.execution.cause))
        self.moved(execution.key)

    def _book(self, shift: Shift, cause: PositionCause) -> None:
        for strategy in [fromkey for fromkey in dict.fromkeys((*shift.parts, *shift.fees)) if fromkey != EXTERNAL]:
            self._hand_over(shift, strategy, cause)

    def _hand_over(self, shift: Shift, strategy: str, cause: PositionCause) -> None:
        """A strategy takes its part over from what is external, at the price of the execution."""
        execution, quantity, fee = shift.execution, shift.parts.get(strategy, ZERO), shift.fees.get(strategy, ZERO)
        realized, notional = ZERO, quantity * execution.price * (1 if execution.signed > 0 else -1)
        for owner, sign in ((strategy, 1), (EXTERNAL, -1)):
            account = self.accounts[owner]
            gained = account.position(*execution.key).change(sign * quantity, execution.price)
            realized = gained if owner == strategy else realized
            account.pay(sign * fee, execution.fee_asset, sign * notional)
            self.executions.shift(execution.key, execution.trade, owner, sign * quantity)
            body = booking_body(owner, cause, key=execution.key, quantity=sign * quantity, price=execution.price)
            paid = {"fee": str(sign * fee), "asset": execution.fee_asset, "notional": str(sign * notional)} if fee else {}
            self._ctx.record(RowKind.BOOKING, execution.symbol, {**body, **paid, "trade": list(execution.trade)})
        told = PositionChanged(
            symbol=execution.symbol,
            at_ns=self._ctx.now_ns,
            position_side=execution.side,
            quantity=quantity,
            price=execution.price,
            position=self._strategies[strategy].position(*execution.key).quantity,
            realized_pnl=realized,
            cause=cause,
            fee=fee,
            fee_asset=execution.fee_asset,
            trade_id=execution.trade_id,
            trade_ms=execution.trade_ms,
        )
        self._publish_position(strategy, told)

    # -- positions without a trade ------------------------------------------------------------------------------------

    def hold(self, owner: str, key: PositionKey, quantity: Decimal, price: Decimal, cause: PositionCause) -> None:
        """Books a quantity that no known trade explains."""
        account = self.accounts[owner]
        realized = account.position(*key).change(quantity, price)
        body = booking_body(owner, cause, key=key, quantity=quantity, price=price)
        self._ctx.record(RowKind.BOOKING, key[0], {**body, "settled_ms": self._ctx.venue_ms})
        self.executions.forget(key, self._ctx.venue_ms)
        self.moved(key)
        if owner != EXTERNAL:
            held, symbol, side = account.position(*key).quantity, *key
            self._publish_position(owner, PositionChanged(symbol, self._ctx.now_ns, side, quantity, price, held, realized, cause))

    def share(self, key: PositionKey, quantity: Decimal, price: Decimal | None, cause: PositionCause) -> Parts:
        """Shares out a difference that no trade explains. Returns whose it was.

        Without a `price` each owner's is valued at its entry price: what it has brought is not known.
        """
        parts = self.parts(key, quantity)
        for owner, part in parts.items():
            entry = self.accounts[owner].position(*key).entry_price
            self.hold(owner, key, part, price or entry or ZERO, cause)
        return parts

    def parts(self, key: PositionKey, quantity: Decimal) -> Parts:
        """How a difference would be shared out."""
        return shared_out(quantity, self.held(key), self._step_of(key[0])) if quantity else {}

    def parts_of(self, key: PositionKey, fills: Iterable[Fill]) -> Parts:
        """What executions of others would change, booked each in its place among those that are known."""
        before = self.held(key)
        after = self.executions.with_others(key, fills, before, self._step_of(key[0]))
        changed = {owner: quantity - before.get(owner, ZERO) for owner, quantity in after.items()}
        return {owner: part for owner, part in changed.items() if part}

    def adjust(self, adjustment: Adjustment, price: Decimal | None) -> Parts:
        """Books a difference between our books and the exchange's. Returns whose it was."""
        self.adjustments.append(adjustment)
        return self.share(adjustment.key, adjustment.quantity, price, PositionCause.ADJUSTMENT)

    def moved(self, key: PositionKey) -> None:
        """Something was booked there."""
        self.history.moved(key, self._ctx.now_ns)

    def _publish_position(self, strategy: str, event: PositionChanged) -> None:
        counts = self.changes.setdefault(strategy, {})
        counts[event.cause] = counts.get(event.cause, 0) + 1
        text = f"{event.cause}: {strategy}'s position in {named((event.symbol, event.position_side))} changed by"
        text = f"{text} {trimmed(event.quantity)} @ {plain(event.price)} to {trimmed(event.position)}"
        self._ctx.log(Level.WARNING, f"{text}, realised {trimmed(event.realized_pnl)}")
        self._ctx.publish(StrategyTold(strategy, event))


def _fill_of(execution: SharedExecution) -> Fill:
    return Fill(
        symbol=execution.symbol,
        trade_id=execution.trade_id,
        order_id=execution.order_id,
        side=Side.BUY if execution.signed > 0 else Side.SELL,
        price=execution.price,
        quantity=abs(execution.signed),
        maker=False,
        trade_ms=execution.trade_ms,
        position_side=execution.side,
        fee=execution.fee,
        fee_asset=execution.fee_asset,
    )
