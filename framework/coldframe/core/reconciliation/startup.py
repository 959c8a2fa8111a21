"""What stands on the account before the first order: positions and orders that are not ours are refused, ignored or adopted.

Orders with the tag of a strategy of this bot are that strategy's whatever the rule says: an earlier run has made them. And whatever
the rule says, what has changed while the bot was off is shared out like a trade of others: a strategy does not go on believing in a
position that the account has no more. Only what is external after that is a matter of the rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import attrs

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.execution_reports import ExecutionReports, describe
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.external import ExternalPolicy, ExternalPosition, only_owner
from coldframe.core.state.orders import Fill
from coldframe.core.state.positions import EXTERNAL, PositionKey
from coldframe.core.state.shares import Parts
from coldframe.model.effects import Fail, Level
from coldframe.model.events import PositionCause
from coldframe.model.orders import OrderState
from coldframe.units import ZERO, exact, plain
from coldframe.wire.replies import AlgoReply, OrderReply

_CANCEL = 'cancel it, or set external = "ignore" under [orders]'
_HINT = 'or set external = "ignore" or "adopt" under [orders]'


@attrs.frozen
class _Change:
    """A position that the account has otherwise than our books: whose it is, and the trades that explain it, if any do."""

    position: ExternalPosition
    parts: Parts
    trades: tuple[Fill, ...] = ()

    @property
    def external(self) -> Decimal:
        """The part of the change that belongs to no strategy."""
        return self.parts.get(EXTERNAL, ZERO)


class StartCheck:
    """Looks once at what the first round has found."""

    def __init__(self, state: EngineState, ctx: StepContext, reports: ExecutionReports, rule: ExternalPolicy) -> None:
        self._state = state
        self._ctx = ctx
        self._reports = reports
        self._rule = rule
        #: By symbol, the trade up to which the journal knew everything when the run began, and when the first run began.
        self._trade_cursors: dict[str, int] = {}
        self._since_ms = 0
        self._entry_prices: Mapping[PositionKey, Decimal] = {}

    def began_at(self, trade_cursors: Mapping[str, int], since_ms: int) -> None:
        """What the journal knew when the run began: by symbol, the trade up to which everything was known.

        `since_ms` is when the first run began, 0 if this is it: without a mark, what was traded earlier is not news.
        """
        self._trade_cursors, self._since_ms = dict(trade_cursors), since_ms

    def priced(self, entry_prices: Mapping[PositionKey, Decimal]) -> None:
        """The venue's entry prices, by position."""
        self._entry_prices = entry_prices

    def passed(
        self,
        positions: Mapping[PositionKey, Decimal],
        asked_ns: int,
        external: Sequence[OrderReply],
        waiting: Sequence[AlgoReply],
        at_ms: int,
    ) -> bool:
        """Deals with everything that is not ours. Returns whether the run may go on; it fails with all findings at once.

        `positions` were asked for at `asked_ns` (ours), the round began at `at_ms` (the venue's); `waiting` are conditional orders.
        """
        orders = [position for position in external if self._reports.adopt(position) is None]
        changes = self._changes(positions, asked_ns)
        findings = self._findings([change.position for change in changes if change.position.theirs], orders)
        if self._rule is not ExternalPolicy.IGNORE:  # no strategy would know how to follow what is adopted
            unknown = (f"orders.external: {_waiting(waiter)} belongs to no strategy: {_CANCEL}" for waiter in waiting)
            findings = [*findings, *unknown]
        if findings:
            self._ctx.emit(Fail("ConfigError", "\n".join(findings)))
            return False
        for change in changes:
            self._book_change(change)
        for order in orders:
            owner = self._owner(order.symbol)
            if owner is not None:
                self._reports.adopt(order, strategy=owner)
            else:
                self._ctx.log(Level.WARNING, f"{_named(order)} belongs to no strategy: left alone")
        for waiter in waiting:
            self._ctx.log(Level.WARNING, f"{_waiting(waiter)} belongs to no strategy: left alone")
        self._state.account_compared(at_ms)
        return True

    def external_positions(self, positions: Mapping[PositionKey, Decimal], asked_ns: int) -> list[ExternalPosition]:
        """Where the venue has more (or less) than is known to be ours, or trades there that came to nothing."""
        return [change.position for change in self._changes(positions, asked_ns)]

    def _changes(self, positions: Mapping[PositionKey, Decimal], asked_ns: int) -> list[_Change]:
        """The positions that are not what they were, and those that others have traded in and come back to what they were."""
        holdings = self._state.holdings
        changes: list[_Change] = []
        for key in sorted(
            {*positions, *holdings.position_keys(), *((earlier.symbol, earlier.position_side) for earlier in self._before)}
        ):
            on_account = positions.get(key, ZERO)
            change = self._change(key, on_account)
            differs = bool(change.position.quantity) and not holdings.history.had(key, on_account, asked_ns)
            if differs or change.trades:
                changes.append(change)
        return changes

    @property
    def _before(self) -> list[Fill]:
        """The trades of others from before the start, in the order of their ids."""
        return sorted(self._state.external.before.values(), key=lambda fill: (fill.trade_id, fill.order_id))

    def _change(self, key: PositionKey, on_account: Decimal) -> _Change:
        """Whose a difference is. Trades since the last run explain it if they come to just that: then each is shared out."""
        holdings = self._state.holdings
        held = holdings.held(key)
        quantity = on_account - sum(held.values(), ZERO)
        trades = self._trades_since(key)
        if sum((fill.signed for fill in trades), ZERO) != quantity:
            trades = ()
        parts = holdings.parts_of(key, trades) if trades else holdings.parts(key, quantity)
        ours = sum((held.get(owner, ZERO) + parts.get(owner, ZERO) for owner in {*held, *parts} if owner != EXTERNAL), ZERO)
        price = self._entry_prices.get(key, ZERO)
        return _Change(ExternalPosition(key, quantity, price, on_account, ours), parts, trades)

    def _trades_since(self, key: PositionKey) -> tuple[Fill, ...]:
        """The trades of others in a position that the last run did not know."""
        executions = self._state.holdings.executions
        remembered, mark = executions.since(key), self._trade_cursors.get(key[0])
        settled_ms = executions.settled.get(key, 0)
        forgotten = key in executions.settled and not settled_ms
        if not self._since_ms or (forgotten and remembered is None and mark is None):
            return ()  # which of them have been booked is not known any more
        # What was traded after the position was booked as the account had it is news, also where a later trade is known already.
        known = mark or 0 if settled_ms else max(remembered or 0, mark or 0)
        since_ms = settled_ms + 1 if settled_ms else 0 if known else self._since_ms
        return tuple(
            fill
            for fill in self._before
            if (fill.symbol, fill.position_side) == key
            and fill.trade_id > known
            and fill.trade_ms >= since_ms
            and executions.get(key, (fill.trade_id, fill.order_id)) is None
        )

    def _findings(self, held: Sequence[ExternalPosition], orders: Sequence[OrderReply]) -> list[str]:
        if self._rule is ExternalPolicy.REFUSE:
            found = [
                *((str(position), f"close it, {_HINT}{self._in_doubt(position.key[0])}") for position in held),
                *((_named(order), f"cancel it, {_HINT}") for order in orders),
            ]
            return [f"orders.external: {what} belongs to no strategy: {advice}" for what, advice in found]
        if self._rule is ExternalPolicy.ADOPT:
            return [
                f"orders.external: {what} cannot be adopted: not exactly one strategy trades {symbol}"
                for symbol, what in [
                    *((position.key[0], str(position)) for position in held),
                    *((order.symbol, _named(order)) for order in orders),
                ]
                if self._owner(symbol) is None
            ]
        return []

    def _in_doubt(self, symbol: str) -> str:
        """Which order of ours may have made a position after all, in words."""
        unknown = [order for order in self._state.orders.live if order.symbol == symbol and order.state is OrderState.UNKNOWN]
        if not unknown:
            return ""
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        return f" (the outcome of {describe(unknown[0])}{more} is not known: look at the exchange, or start again later)"

    def _owner(self, symbol: str) -> str | None:
        """Who adopts what is found in a symbol."""
        if self._rule is not ExternalPolicy.ADOPT:
            return None
        return only_owner(symbol, {name: account.symbols for name, account in self._state.accounts.items()})

    def _book_change(self, change: _Change) -> None:
        position, holdings = change.position, self._state.holdings
        for fill in change.trades:
            holdings.book_external(fill, PositionCause.WHILE_OFF)
        if not change.trades:
            for name, part in change.parts.items():
                self._book(position, name, part, PositionCause.WHILE_OFF)
        owner = self._owner(position.key[0])
        if owner is not None and position.theirs:
            self._book(position, EXTERNAL, -position.theirs, PositionCause.ADOPTED)
            self._book(position, owner, position.theirs, PositionCause.ADOPTED)
        if position.theirs:
            what = "counted as external and left alone" if owner is None else f"adopted by strategy {owner}"
            self._ctx.log(Level.WARNING, f"{position} belongs to no strategy: {what}")
        elif change.external:
            self._ctx.log(Level.WARNING, f"{position.where}: what others had there is gone since the last run")

    def _book(self, position: ExternalPosition, owner: str, quantity: Decimal, cause: PositionCause) -> None:
        """A part that no trade explains, at the venue's entry price where it opens, else at our own."""
        key, holdings = position.key, self._state.holdings
        held = holdings.accounts[owner].position(*key)
        closing = held.quantity * quantity < 0
        price = (held.entry_price if closing else None) or position.entry_price
        holdings.hold(owner, key, quantity, price, cause)


def _waiting(order: AlgoReply) -> str:
    return f"conditional order {order.order_type} {order.side} {order.symbol} ({order.client_algo_id})"


def _named(order: OrderReply) -> str:
    price = exact(order.price)
    at = f" @ {plain(price)}" if price else ""
    return f"order {order.side} {order.orig_qty} {order.symbol}{at} ({order.client_order_id})"
