"""What stands on the account before the first order: positions and orders that are not ours are refused, ignored or adopted.

Orders with the tag of a strategy of this bot are that strategy's whatever the rule says: an earlier run has made them. And whatever
the rule says, what has changed while the bot was off is shared out like a trade of others: a strategy does not go on believing in a
position that the account has no more. Only what is external after that is a matter of the rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import attrs

from coldframe.core.context import Context
from coldframe.core.evidence import Evidence
from coldframe.core.foreign import Foreign, ForeignPosition, only_owner
from coldframe.core.orders import Fill
from coldframe.core.positions import EXTERNAL, PositionKey
from coldframe.core.risk import Trader
from coldframe.core.shares import Parts
from coldframe.model.effects import Fail, Level
from coldframe.model.events import PositionCause
from coldframe.units import ZERO, exact, plain
from coldframe.wire.replies import AlgoReply, OrderReply

_CANCEL = 'cancel it, or set foreign = "ignore" under [orders]'
_HINT = 'or set foreign = "ignore" or "adopt" under [orders]'


@attrs.frozen
class _Change:
    """A position that the account has otherwise than our books: whose it is, and the trades that explain it, if any do."""

    position: ForeignPosition
    parts: Parts
    trades: tuple[Fill, ...] = ()

    @property
    def external(self) -> Decimal:
        """The part of the change that belongs to no strategy."""
        return self.parts.get(EXTERNAL, ZERO)


class StartCheck:
    """Looks once at what the first round has found. `entry_prices` are the venue's, by position."""

    def __init__(self, ctx: Context, evidence: Evidence, traders: Mapping[str, Trader], rule: Foreign) -> None:
        self._ctx = ctx
        self._evidence = evidence
        self._traders = traders
        self._rule = rule
        #: By symbol, the trade up to which the journal knew everything when the run began.
        self._marks: dict[str, int] = {}
        self.entry_prices: dict[PositionKey, Decimal] = {}

    def began_at(self, marks: Mapping[str, int]) -> None:
        """What the journal knew when the run began: by symbol, the trade up to which everything was known."""
        self._marks = dict(marks)

    def passed(
        self,
        positions: Mapping[PositionKey, Decimal],
        asked_ns: int,
        foreign: Sequence[OrderReply],
        waiting: Sequence[AlgoReply],
        at_ms: int,
    ) -> bool:
        """Deals with everything that is not ours. Returns whether the run may go on; it fails with all findings at once.

        `positions` were asked for at `asked_ns` (ours), the round began at `at_ms` (the venue's); `waiting` are conditional orders.
        """
        orders = [one for one in foreign if self._evidence.take_over(one) is None]
        changes = [self._change(position) for position in self.foreign_positions(positions, asked_ns)]
        findings = self._findings([change.position for change in changes if change.position.theirs], orders)
        if self._rule is not Foreign.IGNORE:  # nobody can adopt what no strategy would know how to follow
            findings = [*findings, *(f"orders.foreign: {_waiting(one)} is not ours: {_CANCEL}" for one in waiting)]
        if findings:
            self._ctx.emit(Fail("ConfigError", "\n".join(findings)))
            return False
        for change in changes:
            self._take(change)
        for order in orders:
            owner = self._owner(order.symbol)
            if owner is not None:
                self._evidence.take_over(order, strategy=owner)
            else:
                self._ctx.log(Level.WARNING, f"{_named(order)} is not ours and left alone")
        for one in waiting:
            self._ctx.log(Level.WARNING, f"{_waiting(one)} is not ours and left alone")
        self._evidence.baseline_ms = at_ms
        self._evidence.others.before.clear()
        return True

    def foreign_positions(self, positions: Mapping[PositionKey, Decimal], asked_ns: int) -> list[ForeignPosition]:
        """What the venue has beyond (or short of) what we know to be ours."""
        every = sorted({*positions, *self._evidence.holdings.position_keys()})
        keys = [key for key in every if not self._evidence.balance.had(key, positions.get(key, ZERO), asked_ns)]
        return [one for one in (self._foreign_position(key, positions.get(key, ZERO)) for key in keys) if one.quantity]

    def _foreign_position(self, key: PositionKey, on_account: Decimal) -> ForeignPosition:
        """What differs in a position; `ours` is what strategies still have of it when that is shared out."""
        held = self._evidence.holdings.held(key)
        known, price = sum(held.values(), ZERO), self.entry_prices.get(key, ZERO)
        parts = self._evidence.holdings.parts(key, on_account - known)
        ours = known - held[EXTERNAL] + on_account - known - parts.get(EXTERNAL, ZERO)
        return ForeignPosition(key, on_account - known, price, on_account, ours)

    def _change(self, position: ForeignPosition) -> _Change:
        """Whose a difference is. Trades since the last run explain it if they come to just that: then their prices are known."""
        key, holdings = position.key, self._evidence.holdings
        since = holdings.executions.since(key)
        since = self._marks.get(key[0]) if since is None else since
        trades = [
            fill
            for fill in sorted(self._evidence.others.before.values(), key=lambda one: one.key)
            if (fill.symbol, fill.position_side) == key
            and since is not None
            and fill.trade_id > since
            and holdings.executions.get(key, (fill.trade_id, fill.order_id)) is None
        ]
        explained = sum((fill.signed for fill in trades), ZERO) == position.quantity
        return _Change(position, holdings.parts(key, position.quantity), tuple(trades) if explained else ())

    def _findings(self, held: Sequence[ForeignPosition], orders: Sequence[OrderReply]) -> list[str]:
        if self._rule is Foreign.REFUSE:
            found = [*((str(position), "close") for position in held), *((_named(order), "cancel") for order in orders)]
            return [f"orders.foreign: {what} is not ours: {verb} it, {_HINT}" for what, verb in found]
        if self._rule is Foreign.ADOPT:
            return [
                f"orders.foreign: {what} cannot be adopted: not exactly one strategy trades {symbol}"
                for symbol, what in [*((one.key[0], str(one)) for one in held), *((one.symbol, _named(one)) for one in orders)]
                if self._owner(symbol) is None
            ]
        return []

    def _owner(self, symbol: str) -> str | None:
        """Who adopts what is found in a symbol."""
        if self._rule is not Foreign.ADOPT:
            return None
        return only_owner(symbol, {name: one.symbols for name, one in self._traders.items()})

    def _take(self, change: _Change) -> None:
        position, holdings = change.position, self._evidence.holdings
        owner = self._owner(position.key[0])
        if change.trades and not (owner is not None and change.external):
            for fill in change.trades:
                holdings.outside(fill, PositionCause.WHILE_OFF)
        else:
            for name, part in change.parts.items():
                self._book(position, owner if name == EXTERNAL else name, part, adopted=name == EXTERNAL)
        if not position.theirs and change.external:
            self._ctx.log(Level.WARNING, f"{position.where}: what others had there is gone since the last run")
        elif change.external:
            what = "counted as external and left alone" if owner is None else f"adopted by strategy {owner}"
            self._ctx.log(Level.WARNING, f"{position} is not ours: {what}")

    def _book(self, position: ForeignPosition, owner: str | None, quantity: Decimal, *, adopted: bool) -> None:
        """A part of a difference that no trade explains, at the venue's entry price where it opens, else at our own."""
        key, holdings = position.key, self._evidence.holdings
        held = holdings.accounts[owner or EXTERNAL].position(*key)
        closing = held.quantity * quantity < 0
        price = (held.entry_price if closing else None) or position.entry_price
        cause = PositionCause.ADOPTED if adopted and owner is not None else PositionCause.WHILE_OFF
        holdings.hold(owner or EXTERNAL, key, quantity, price, cause)


def _waiting(order: AlgoReply) -> str:
    return f"conditional order {order.order_type} {order.side} {order.symbol} ({order.client_algo_id})"


def _named(order: OrderReply) -> str:
    price = exact(order.price)
    at = f" @ {plain(price)}" if price else ""
    return f"order {order.side} {order.orig_qty} {order.symbol}{at} ({order.client_order_id})"
