"""What only reduces: it passes where new risk is shut, and goes out in a way that no race can make it do more.

Where one strategy alone trades a symbol, an order reduces only if it makes the account's position smaller, and goes out
reduce-only: the account may have changed already. Where several share it, the account cannot be the measure of each: their
positions may stand against each other. There an order reduces if it makes its strategy's own position smaller, as long as all of
them add up to the account's; while they do not, and until a start has compared them, the account decides
(docs/decisions/027-the-account-decides-what-reduces.md).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from typing import Protocol

import attrs

from coldframe.core.state.external import Others
from coldframe.core.state.orders import Order, Orders
from coldframe.core.state.positions import PositionKey, StrategyPositions, named
from coldframe.core.state.trading_state import TradingState
from coldframe.model.intents import Place
from coldframe.units import ZERO, plain


class Owner(Protocol):
    """A strategy, as far as it matters here."""

    @property
    def id(self) -> str: ...
    @property
    def symbols(self) -> Collection[str]: ...
    @property
    def account(self) -> StrategyPositions: ...


class Reducing:
    """Measures orders by positions. `others` is what is external."""

    def __init__(self, owners: Mapping[str, Owner], orders: Orders, latches: TradingState, *, hedge: bool) -> None:
        self._owners = owners
        self._orders = orders
        self._latches = latches
        self._hedge = hedge
        self.others: Others | None = None
        #: Whether the account has been compared since the start: before that, others may have closed what our books have.
        self.compared: Callable[[], bool] = lambda: True

    def shared(self, symbol: str) -> bool:
        """Whether more than one strategy trades a symbol, or holds a position in it."""
        owners = (owner for owner in self._owners.values() if symbol in owner.symbols or owner.account.net(symbol))
        return sum(1 for _ in owners) > 1

    def account(self, key: PositionKey) -> Decimal:
        """The account's position: what all hold together, or where that is disputed what the venue has said."""
        if key in self._latches.disputed:
            return self._latches.disputed[key]
        accounts = [owner.account for owner in self._owners.values()] + ([self.others.account] if self.others else [])
        return sum((account.positions[key].quantity for account in accounts if key in account.positions), ZERO)

    def account_decides(self, key: PositionKey) -> bool:
        """Whether the account's position decides what reduces: where only one strategy trades, in a dispute, and at first."""
        return key in self._latches.disputed or not self.shared(key[0]) or not self.compared()

    def reducible(self, owner: Owner, key: PositionKey) -> Decimal:
        """How much of a strategy's position orders may close, so that they only reduce."""
        held = owner.account.positions.get(key)
        own = held.quantity if held is not None else ZERO
        if not own or not self.account_decides(key):
            return abs(own)
        account = self.account(key)
        return min(abs(own), abs(account)) if own * account > 0 else ZERO

    def left_over(self, order: Order) -> bool:
        """Whether an order was to close a position that its strategy does not have any more.

        Where the strategy is alone the venue ends such an order. Where others hold on the same side, the venue would let it close
        theirs, and turn over the strategy's own position.
        """
        key, owner = (order.symbol, order.position_side), self._owners.get(order.strategy)
        if owner is None or not order.closing or self.account_decides(key):
            return False
        held = owner.account.positions.get(key)
        return held is None or held.quantity * order.side.sign >= 0

    def reduces(self, owner: Owner, place: Place, replaces: Collection[Order] = (), beside: Decimal = ZERO) -> bool:
        """Whether an order can only bring a position nearer to zero as it goes out; `replaces` and `beside` as in `Gate.check`."""
        return self._reduces(owner, place, replaces, beside) or (not replaces and self.seals(owner, place, beside))

    def seals(self, owner: Owner, place: Place, beside: Decimal = ZERO) -> bool:
        """Whether an order has to go out reduce-only though it does not say so."""
        decides = self.account_decides((place.symbol, place.position_side))
        if self._hedge or place.closing or not decides:
            return False
        return self._reduces(owner, attrs.evolve(place, reduce_only=True), (), beside)

    def why_not(self, owner: Owner, place: Place, replaces: Collection[Order] = (), beside: Decimal = ZERO) -> str:
        """Why an order that could only reduce does not: there is nothing to reduce, or what there is, other orders close."""
        key = (place.symbol, place.position_side)
        held, account = owner.account.positions.get(key), self.account(key)
        own = held.quantity if held is not None else ZERO
        others = [] if own * place.side.sign >= 0 else self._counted(owner, place, replaces)
        closing = sum((other.exposure for other in others), beside)
        room = self.reducible(owner, key)
        if room and closing and place.quantity <= room:
            orders = [f"{other.side} {plain(other.exposure)} ({other.client_order_id})" for other in others]
            beside_it = ", ".join([*orders, *([f"{plain(beside)} of the same wish"] if beside else [])])
            text = f"{place.side} {plain(place.quantity)} and {beside_it} together would more than close"
            return f"{text} the {plain(own)} {named(key)} of strategy {owner.id}: cancel what is in the way"
        text = f"strategy {owner.id} holds {plain(own)}, the account {plain(account)} {named(key)}"
        return f"reduce-only, but no such position is there to reduce: {text}"

    def _reduces(self, owner: Owner, place: Place, replaces: Collection[Order], beside: Decimal) -> bool:
        key = (place.symbol, place.position_side)
        held = owner.account.positions.get(key)
        if held is None or held.quantity * place.side.sign >= 0:
            return False
        others = sum((other.exposure for other in self._counted(owner, place, replaces)), beside)
        return others + place.quantity <= self.reducible(owner, key)

    def _counted(self, owner: Owner, place: Place, replaces: Collection[Order]) -> list[Order]:
        """The orders that close beside this one."""
        return [other for other in self.beside(owner, place, replaces) if not _exclusive(place, other)]

    def beside(self, owner: Owner, place: Place, replaces: Collection[Order]) -> Iterator[Order]:
        """The strategy's other orders on the side of an order that may change its position, but for those that make way for it."""
        for other in self._orders.exposed(owner.id, place.symbol):
            if other.side is place.side and other.position_side is place.position_side and other not in replaces:
                yield other


def _exclusive(place: Place, other: Order) -> bool:
    """Whether the other order need not be counted beside this one: the venue lets both only reduce, one of them at its trigger.

    A stop and a take-profit over the same position, and the order that closes it before either, do not add up.
    """
    return place.closing and (place.type.conditional or (other.untriggered and other.closing))
