"""What stands on the account before the first order: positions and orders that are not ours are refused, ignored or adopted.

Orders with the tag of a strategy of this bot are that strategy's whatever the rule says: an earlier run has made them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from coldframe.core.context import Context
from coldframe.core.evidence import Evidence
from coldframe.core.foreign import Foreign, ForeignPosition, only_owner
from coldframe.core.positions import PositionKey
from coldframe.core.risk import Trader
from coldframe.model.effects import Fail, Level
from coldframe.units import ZERO, exact, plain
from coldframe.wire.replies import AlgoReply, OrderReply

_CANCEL = 'cancel it, or set foreign = "ignore" under [orders]'
_HINT = 'close it, or set foreign = "ignore" or "adopt" under [orders]'


class StartCheck:
    """Looks once at what the first round has found. `entry_prices` are the venue's, by position."""

    def __init__(self, ctx: Context, evidence: Evidence, traders: Mapping[str, Trader], rule: Foreign) -> None:
        self._ctx = ctx
        self._evidence = evidence
        self._traders = traders
        self._rule = rule
        self.entry_prices: dict[PositionKey, Decimal] = {}

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
        held = self.foreign_positions(positions, asked_ns)
        gone = [one for one in held if one.theirs == 0]
        for position in gone:  # what others had is closed: the account holds what our strategies do
            self._evidence.hold(None, position.key, position.quantity, position.entry_price)
            self._ctx.log(Level.WARNING, f"{position.where}: what others had there is gone since the last run")
        held = [one for one in held if one not in gone]
        findings = self._findings(held, orders)
        if self._rule is not Foreign.IGNORE:  # nobody can adopt what no strategy would know how to follow
            findings = [*findings, *(f"orders.foreign: {_waiting(one)} is not ours: {_CANCEL}" for one in waiting)]
        if findings:
            self._ctx.emit(Fail("ConfigError", "\n".join(findings)))
            return False
        for position in held:
            self._take(position)
        for order in orders:
            owner = self._owner(order.symbol)
            if owner is not None:
                self._evidence.take_over(order, strategy=owner)
            else:
                self._ctx.log(Level.WARNING, f"{_named(order)} is not ours and left alone")
        for one in waiting:
            self._ctx.log(Level.WARNING, f"{_waiting(one)} is not ours and left alone")
        self._evidence.baseline_ms = at_ms
        return True

    def foreign_positions(self, positions: Mapping[PositionKey, Decimal], asked_ns: int) -> list[ForeignPosition]:
        """What the venue has beyond (or short of) what we know to be ours."""
        every = sorted({*positions, *self._evidence.position_keys()})
        keys = [key for key in every if not self._evidence.balance.had(key, positions.get(key, ZERO), asked_ns)]
        return [one for one in (self._foreign_position(key, positions.get(key, ZERO)) for key in keys) if one.quantity]

    def _foreign_position(self, key: PositionKey, on_account: Decimal) -> ForeignPosition:
        known, price = self._evidence.position_sum(key), self.entry_prices.get(key, ZERO)
        return ForeignPosition(key, on_account - known, price, on_account, known - self._evidence.external.position(*key).quantity)

    def _findings(self, held: Sequence[ForeignPosition], orders: Sequence[OrderReply]) -> list[str]:
        if self._rule is Foreign.REFUSE:
            return [f"orders.foreign: {one} is not ours: {_HINT}" for one in (*held, *map(_named, orders))]
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

    def _take(self, position: ForeignPosition) -> None:
        owner = self._owner(position.key[0])
        self._evidence.hold(owner, position.key, position.quantity, position.entry_price)
        what = "counted as external and left alone" if owner is None else f"adopted by strategy {owner}"
        self._ctx.log(Level.WARNING, f"{position} is not ours: {what}")


def _waiting(order: AlgoReply) -> str:
    return f"conditional order {order.order_type} {order.side} {order.symbol} ({order.client_algo_id})"


def _named(order: OrderReply) -> str:
    price = exact(order.price)
    at = f" @ {plain(price)}" if price else ""
    return f"order {order.side} {order.orig_qty} {order.symbol}{at} ({order.client_order_id})"
