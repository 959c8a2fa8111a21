"""Whose position an execution of others changes: the rule, and what has to be remembered for it.

The account has one position where strategies and others each hold a part of it. What another client trades, or the exchange's own
engines, names no part, so a rule decides (docs/orders.md, "When others trade"). Executions count in the order of the exchange's
trade ids, however late they become known: then the ones behind them are shared out anew. Pure bookkeeping; what follows from a
share is booked in `coldframe.core.state.holdings`.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from decimal import Context, Decimal, localcontext
from typing import Final

import attrs

from coldframe.core.state.funding_split import shares
from coldframe.core.state.orders import Fill
from coldframe.core.state.positions import EXTERNAL, PositionKey
from coldframe.enums import PositionSide
from coldframe.units import ZERO

#: So many executions of a position are remembered: what becomes known later than that is taken as it comes.
REMEMBERED: Final = 200
_WIDE: Final = Context(prec=60)
#: What shares are rounded to where the lot step is not known.
_GRAIN: Final = Decimal(1).scaleb(-18)

#: A signed quantity by owner; `EXTERNAL` is an owner like any other.
Parts = dict[str, Decimal]


def shared_out(signed: Decimal, held: Mapping[str, Decimal], step: Decimal) -> Parts:
    """Whose position an execution of others changes by how much; `held` is what each owner has of this position before it.

    1. What others have opened is closed first.
    2. What then still makes the account's position smaller is taken from the strategies that hold on its side, in proportion to
       what they hold, in whole lots of `step`; what rounding leaves, the largest gives.
    3. The rest is external.
    4. When the account's position is closed or turned over, nothing of it is left to any owner: what is external against it is set
       off with the strategies that hold it.
    """
    sign, left, external = (1 if signed > 0 else -1), abs(signed), held.get(EXTERNAL, ZERO)
    closed = min(left, max(-external * sign, ZERO))
    left -= closed
    room = max(-(sum(held.values(), ZERO) + sign * closed) * sign, ZERO)
    set_off = max(external * sign, ZERO) if room and left >= room else ZERO
    against = {owner: abs(share) for owner, share in held.items() if owner != EXTERNAL and share * sign < 0}
    taken = in_proportion(min(left, room) + set_off, against, step)
    parts = {owner: sign * part for owner, part in taken.items()}
    parts[EXTERNAL] = signed - sum(parts.values(), ZERO)
    return {owner: part for owner, part in parts.items() if part}


def in_proportion(amount: Decimal, weights: Mapping[str, Decimal], step: Decimal) -> Parts:
    """Splits `amount`, at most the sum of `weights`, in proportion to them; no part is larger than its weight."""
    if not amount:
        return {}
    grain = step or _GRAIN
    with localcontext(_WIDE):
        total = sum(weights.values(), ZERO)
        parts = {owner: amount * weight / total // grain * grain for owner, weight in weights.items()}
        left = amount - sum(parts.values(), ZERO)
        for owner in sorted(weights, key=lambda owner: (-weights[owner], owner)):
            more = min(left, weights[owner] - parts[owner])
            parts[owner] += more
            left -= more
    return parts


@attrs.define(eq=False, kw_only=True)
class SharedExecution:
    """One execution at the exchange, and whose position it has changed: of one owner where it was an order of ours."""

    symbol: str
    side: PositionSide
    trade_id: int
    order_id: int
    parts: Parts
    #: Whether no order of ours has traded.
    external: bool = False
    price: Decimal = ZERO
    trade_ms: int = 0
    fee: Decimal = ZERO
    fee_asset: str = ""
    cause: str = ""

    @property
    def key(self) -> PositionKey:
        return self.symbol, self.side

    @property
    def trade(self) -> tuple[int, int]:
        """What makes it this execution, and its place in the order of all in its symbol."""
        return self.trade_id, self.order_id

    @property
    def signed(self) -> Decimal:
        return sum(self.parts.values(), ZERO)

    def fees(self, parts: Parts) -> Parts:
        """Its fee by owner, as these parts share it: who is set off pays nothing."""
        return shares(self.fee, {owner: abs(part) for owner, part in parts.items() if part * self.signed > 0})


def execution_of(owner: str, fill: Fill, cause: str = "") -> SharedExecution:
    """An execution as it is booked at first: of an order of ours to its strategy, of others to what is external."""
    return SharedExecution(
        symbol=fill.symbol,
        side=fill.position_side,
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        parts={owner: fill.signed},
        external=owner == EXTERNAL,
        price=fill.price,
        trade_ms=fill.trade_ms,
        fee=fill.fee or ZERO,
        fee_asset=fill.fee_asset,
        cause=cause,
    )


@attrs.frozen
class Shift:
    """An execution is shared out in another way than it was: by how much each owner's part of quantity and fee changes."""

    execution: SharedExecution
    parts: Parts
    fees: Parts


class Executions:
    """The latest executions of every position, in the order of their trade ids."""

    def __init__(self, known: Iterable[SharedExecution] = (), settled: Mapping[PositionKey, int] | None = None) -> None:
        self._by_key: dict[PositionKey, list[SharedExecution]] = {}
        #: Positions of which executions have been forgotten, and up to when (venue time, milliseconds; 0: not known): what is not
        #: remembered of them up to then may have been booked.
        self.settled: dict[PositionKey, int] = dict(settled or {})
        for name in known:
            self.add(name)

    def __iter__(self) -> Iterator[SharedExecution]:
        return (execution for executions in self._by_key.values() for execution in executions)

    def get(self, key: PositionKey, trade: tuple[int, int]) -> SharedExecution | None:
        return next((execution for execution in self._by_key.get(key, ()) if execution.trade == trade), None)

    def since(self, key: PositionKey) -> int | None:
        """The trade from which on all that was known is remembered; None where that is so from the beginning."""
        known = self._by_key.get(key)
        return known[0].trade_id if known and key in self.settled else None

    def add(self, execution: SharedExecution) -> bool:
        """Remembers an execution as it was booked. Returns whether later ones are known already."""
        known = self._by_key.setdefault(execution.key, [])
        insort(known, execution, key=lambda earlier: earlier.trade)
        late = known[-1] is not execution
        if len(known) > REMEMBERED:
            del known[:-REMEMBERED]
            self.settled[execution.key] = 0
        return late

    def remove(self, execution: SharedExecution) -> None:
        """It is another one's than it seemed."""
        self._by_key[execution.key].remove(execution)

    def forget(self, key: PositionKey, at_ms: int) -> None:
        """The position was booked otherwise, as it was at that venue time: what came before is settled."""
        self._by_key.pop(key, None)
        self.settled[key] = at_ms

    def shift(self, key: PositionKey, trade: tuple[int, int], owner: str, quantity: Decimal) -> None:
        """A part of an execution of others has been booked to an owner."""
        execution = self.get(key, trade)
        if execution is not None:
            execution.parts[owner] = execution.parts.get(owner, ZERO) + quantity

    def shifts(self, execution: SharedExecution, held: Mapping[str, Decimal], step: Decimal) -> list[Shift]:
        """What has to be booked otherwise, from `execution` on, given what all hold now that it is booked and remembered."""
        known = self._by_key[execution.key]
        at = next((place for place, earlier in enumerate(known) if earlier is execution), len(known))
        before = dict(held)
        for name in known[at:]:
            _add(before, name.parts, -1)
        found: list[Shift] = []
        for name in known[at:]:
            parts = shared_out(name.signed, before, step) if name.external else name.parts
            if parts != {owner: part for owner, part in name.parts.items() if part}:
                found.append(Shift(name, _difference(parts, name.parts), _difference(name.fees(parts), name.fees(name.parts))))
            _add(before, parts, 1)
        return found

    def with_others(self, key: PositionKey, fills: Iterable[Fill], held: Mapping[str, Decimal], step: Decimal) -> Parts:
        """What each owner would hold if these executions of others were known as well, each in its place; `held` is now."""
        after = dict(held)
        new = [execution_of(EXTERNAL, fill) for fill in fills]
        first = min((execution.trade for execution in new), default=(0, 0))
        behind = [known for known in self._by_key.get(key, ()) if known.trade > first] if new else []
        for execution in behind:
            _add(after, execution.parts, -1)
        for execution in sorted([*behind, *new], key=lambda entry: entry.trade):
            _add(after, shared_out(execution.signed, after, step) if execution.external else execution.parts, 1)
        return after


def _add(held: Parts, parts: Parts, sign: int) -> None:
    for owner, part in parts.items():
        held[owner] = held.get(owner, ZERO) + sign * part


def _difference(after: Parts, before: Parts) -> Parts:
    every = {owner: after.get(owner, ZERO) - before.get(owner, ZERO) for owner in dict.fromkeys((*before, *after))}
    return {owner: part for owner, part in every.items() if part}
