"""The profit of every strategy as a running sum: what changes is what has changed, a position that traded or whose price moved.

A tick asks for the profits of all strategies. Each is a sum over positions, and most of them are as they were at the tick before:
so each position counts by a term that is worked out anew only when it has changed. What comes out is what adding up anew gives,
digit by digit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Final

import attrs

from coldframe.core.state.asset_values import AT_PAR, AssetValues
from coldframe.core.state.positions import PositionKey, StrategyPositions
from coldframe.units import ZERO

#: Wide enough that no running sum is ever rounded.
_EXACT: Final = Context(prec=60)
#: Contracts in which an asset is priced end with this.
_QUOTE: Final = "USDT"


class ExactSum:
    """A sum of terms that come and go. It has as many places as the term that has most of them, as if it were added up anew."""

    def __init__(self) -> None:
        self._value = ZERO
        self._places: Counter[int] = Counter({0: 1})

    def replace(self, before: Decimal | None, after: Decimal | None) -> None:
        """A term is another one from now on; None: it was not there, or goes."""
        if before is not None:
            self._value = _EXACT.subtract(self._value, before)
            places = _places(before)
            self._places[places] -= 1
            if not self._places[places]:
                del self._places[places]
        if after is not None:
            self._value = _EXACT.add(self._value, after)
            self._places[_places(after)] += 1

    @property
    def value(self) -> Decimal:
        return _EXACT.quantize(self._value, Decimal((0, (1,), -max(self._places))))


def _places(term: Decimal) -> int:
    exponent = term.as_tuple().exponent
    assert isinstance(exponent, int)
    return -exponent


@attrs.define(eq=False)
class _Owner:
    """What one strategy has, as it was counted last."""

    account: StrategyPositions
    sum: ExactSum = attrs.field(factory=ExactSum)
    terms: dict[PositionKey, Decimal] = attrs.field(factory=dict)
    #: Funding received less fees.
    money: Decimal | None = None
    #: The positions that are open and have no mark price.
    unpriced: set[PositionKey] = attrs.field(factory=set)


class Profits:
    """The profits of the strategies of a bot, and of those that are not part of it any more (`retired`)."""

    def __init__(
        self, accounts: Mapping[str, StrategyPositions], retired: Mapping[str, StrategyPositions], prices: AssetValues
    ) -> None:
        self._prices = prices
        self._owners = {name: _Owner(account) for name, account in (*accounts.items(), *retired.items())}
        self._order = {name: number for number, name in enumerate(accounts)}
        self._total = ExactSum()
        #: Strategies with a position that has no mark price.
        self._unknown: set[str] = set()
        #: The positions that are open in a symbol, and whose fees or funding an asset is.
        self._of_symbol: dict[str, set[tuple[str, PositionKey]]] = {}
        self._of_asset: dict[str, set[str]] = {}
        self._day = -1
        #: What may have changed since the last look: a position, or (None) fees and funding.
        self._touched: set[tuple[str, PositionKey | None]] = set()
        for name, owner in self._owners.items():
            owner.account.watched(name, self._touched)
            self._touched |= {(name, key) for key in (*owner.account.positions, None)}

    def changed(self, day: int) -> list[str]:
        """Takes in what has happened. Returns the strategies of the bot whose profit is another one; on a new day all of them."""
        self._take_prices()
        touched = set(self._touched)
        self._touched.clear()
        for name, key in touched:
            self._count(name, key)
        changed = self._order.keys() if day != self._day else {name for name, _ in touched} & self._order.keys()
        self._day = day
        return sorted(changed, key=self._order.__getitem__)

    def _take_prices(self) -> None:
        """What has another price now is counted anew."""
        symbols, assets = self._prices.take_changes()
        for symbol in symbols:
            self._touched |= self._of_symbol.get(symbol, set())
        assets |= {symbol.removesuffix(_QUOTE) for symbol in symbols if symbol.endswith(_QUOTE)} & self._of_asset.keys()
        for asset in assets:
            # Every estimate of a fee goes by the one rate of the account.
            self._touched |= {(name, None) for name in (self._of_asset.get(asset, ()) if asset else self._owners)}

    def _count(self, name: str, key: PositionKey | None) -> None:
        owner = self._owners[name]
        if key is None:
            before, after = owner.money, self._money(name, owner.account)
            owner.money = after
        else:
            before, after = owner.terms.get(key), self._term(name, owner, key)
            owner.terms[key] = after
        owner.sum.replace(before, after)
        self._total.replace(before, after)

    def _money(self, name: str, account: StrategyPositions) -> Decimal:
        for asset in account.fees.keys() | account.funding.keys():
            if asset not in AT_PAR:
                self._of_asset.setdefault(asset, set()).add(name)
        return self._prices.worth(account.funding) - account.fees_paid(self._prices)

    def _term(self, name: str, owner: _Owner, key: PositionKey) -> Decimal:
        position, mark = owner.account.positions[key], self._prices.mark_prices.get(key[0])
        here = self._of_symbol.setdefault(key[0], set())
        if position.quantity:
            here.add((name, key))
        else:
            here.discard((name, key))
        if position.quantity and mark is None:
            owner.unpriced.add(key)
        else:
            owner.unpriced.discard(key)
        if name in self._order and owner.unpriced:
            self._unknown.add(name)
        else:
            self._unknown.discard(name)
        if not position.quantity or mark is None:
            return position.realized
        unrealized = _EXACT.subtract(_EXACT.multiply(position.quantity, mark), position.cost)
        return _EXACT.add(position.realized, unrealized)

    # -- looking ------------------------------------------------------------------------------------------------------

    def known(self, strategy: str) -> bool:
        """Whether every position of a strategy has a mark price."""
        return strategy not in self._unknown

    @property
    def all_known(self) -> bool:
        """Whether every position of the bot's strategies has a mark price."""
        return not self._unknown

    def of(self, strategy: str) -> Decimal:
        """Realised and unrealised profit of a strategy, funding received, fees subtracted; as of the last look."""
        return self._owners[strategy].sum.value

    @property
    def total(self) -> Decimal:
        """That of all strategies; those that are not part of the bot any more count with what they have left."""
        return self._total.value
