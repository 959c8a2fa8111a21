"""An oracle of positions: whose they are, what they cost and have brought, from the exchange's list of trades alone.

It carries out what docs/orders.md says under "When others trade", trade by trade in the order of their ids, with exact fractions.
It shares no code with the engine, and knows nothing of reports, answers and restarts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from itertools import islice

import attrs

from coldframe.enums import PositionSide, Side
from coldframe.exchange.trading.account_store import AccountBooks
from coldframe.wire.replies import UserTrade

Key = tuple[str, PositionSide]
#: The owner of what belongs to no strategy.
OTHERS = ""
NONE = Fraction(0)


@attrs.define
class Share:
    """What an owner has of a position: signed quantity, what it was bought for, profit realised, fees paid."""

    quantity: Fraction = NONE
    cost: Fraction = NONE
    realized: Fraction = NONE
    fees: Fraction = NONE

    @property
    def value(self) -> Fraction:
        """Money received so far: it does not depend on the order in which trades become known."""
        return self.realized - self.cost

    def change(self, quantity: Fraction, price: Fraction) -> None:
        """Takes in a signed quantity: closes first, and opens with the rest."""
        closing = min(abs(quantity), abs(self.quantity)) if quantity * self.quantity < 0 else NONE
        signed = closing if quantity > 0 else -closing
        if closing:
            part = self.cost * closing / abs(self.quantity)
            self.realized -= signed * price + part
            self.cost -= part
        self.quantity += quantity
        self.cost += (quantity - signed) * price


class Oracle:
    """The shares of all owners. `owner_of` names the strategy of an order by its client order id, `OTHERS` for those of others."""

    def __init__(self, books: AccountBooks, owner_of: Callable[[str], str], lot: Fraction) -> None:
        self._books = books
        self._owner_of = owner_of
        self._lot = lot
        #: How many trades have been taken in.
        self.known = 0
        self.shares: defaultdict[Key, defaultdict[str, Share]] = defaultdict(lambda: defaultdict(Share))
        #: Called before a trade changes anything.
        self.watchers: list[Callable[[str, UserTrade], None]] = []

    def update(self) -> list[tuple[str, UserTrade]]:
        """Takes in what has been traded since the last call. Returns these trades with their owners."""
        trades = [row.trade for row in islice(self._books.trades, self.known, None)]
        self.known += len(trades)
        owned = [(self._owner_of(self._books.orders[trade.order_id].client_id), trade) for trade in trades]
        for owner, trade in owned:
            self.take(owner, trade)
        return owned

    def take(self, owner: str, trade: UserTrade) -> None:
        """One trade: of a strategy's order, or of others and then shared out."""
        for watch in self.watchers:
            watch(owner, trade)
        key, signed, price = key_of(trade), signed_of(trade), Fraction(trade.price)
        held = {name: share.quantity for name, share in self.shares[key].items()}
        parts = {owner: signed} if owner != OTHERS else share_out(signed, held, self._lot)
        along = sum((abs(part) for part in parts.values() if part * signed > 0), NONE)
        for name, part in parts.items():
            self.shares[key][name].change(part, price)
            if part * signed > 0:
                self.shares[key][name].fees += Fraction(trade.commission) * abs(part) / along

    def adopt(
        self,
        symbol_owner: Callable[[str], str],
        keys: Iterable[Key],
        entries: Mapping[Key, Fraction],
        booked: Mapping[Key, Fraction],
    ) -> None:
        """The only strategy of a symbol takes over what is external there, closing at its own entry price, else the venue's.

        What was `booked` at another price counts at that: a strategy's entry price hangs on which of its fills were told first.
        """
        for key in keys:
            shares, owner = self.shares[key], symbol_owner(key[0])
            external = shares[OTHERS].quantity
            if owner and external:
                for name, part in ((OTHERS, -external), (owner, external)):
                    share = shares[name]
                    entry = share.cost / share.quantity if part * share.quantity < 0 else entries[key]
                    share.change(part, booked.get(key, entry))


def key_of(trade: UserTrade) -> Key:
    """The position that a trade belongs to."""
    side = trade.position_side
    return trade.symbol, side if isinstance(side, PositionSide) else PositionSide.BOTH


def signed_of(trade: UserTrade) -> Fraction:
    """Its quantity, negative for a sale."""
    return Fraction(trade.qty) * (1 if trade.side is Side.BUY else -1)


def share_out(signed: Fraction, held: Mapping[str, Fraction], lot: Fraction) -> dict[str, Fraction]:
    """Whose position a trade of others changes: the four rules, lot by lot where it takes from strategies."""
    sign = 1 if signed > 0 else -1
    account, external = sum(held.values(), NONE), held.get(OTHERS, NONE)
    after = account + signed
    closed = min(abs(signed), abs(external)) if external * sign < 0 else NONE  # rule 1
    account += sign * closed
    taken = min(abs(signed) - closed, abs(account)) if account * sign < 0 else NONE  # rule 2
    if taken < abs(account) or account * sign >= 0:
        set_off = NONE
    else:  # rule 4: the account is closed or turned over
        assert after * sign >= 0
        set_off = max(external * sign, NONE)
    weights = {name: abs(quantity) for name, quantity in held.items() if name != OTHERS and quantity * sign < 0}
    parts = {name: sign * part for name, part in _in_lots(taken + set_off, weights, lot).items() if part}
    external_part = signed - sum(parts.values(), NONE)  # rule 3
    return {**parts, OTHERS: external_part} if external_part else parts


def _in_lots(amount: Fraction, weights: Mapping[str, Fraction], lot: Fraction) -> dict[str, Fraction]:
    """Whole lots in proportion; what rounding leaves the largest gives, of equals the first by name."""
    whole = sum(weights.values(), NONE)
    parts = {name: amount * weight / whole // lot * lot for name, weight in weights.items()} if whole else {}
    left = amount - sum(parts.values(), NONE)
    while left:
        able = [name for name in parts if parts[name] < weights[name]]
        largest = min(able, key=lambda name: (-weights[name], name))
        more = min(left, weights[largest] - parts[largest])
        parts[largest] += more
        left -= more
    return parts
