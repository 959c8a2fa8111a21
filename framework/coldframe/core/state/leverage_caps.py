"""How large a position the exchange allows at the leverage that is set, by symbol: brackets and leverages as they were told.

Where one of the two is not known, nothing is limited by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import attrs


@attrs.frozen
class Cap:
    """The largest notional of a position, and the leverage that it belongs to."""

    notional: Decimal
    leverage: int


class LeverageCaps(Mapping[str, Cap]):
    """The caps of the symbols of which brackets and leverage are known."""

    def __init__(self) -> None:
        self._tiers: dict[str, tuple[tuple[int, Decimal], ...]] = {}
        self._leverage: dict[str, int] = {}
        self._caps: dict[str, Cap] = {}

    def __getitem__(self, symbol: str) -> Cap:
        return self._caps[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self._caps)

    def __len__(self) -> int:
        return len(self._caps)

    def tiers(self, symbol: str, tiers: Sequence[tuple[int, Decimal]]) -> None:
        """The brackets of a symbol, each with its highest leverage and its largest notional."""
        self._tiers[symbol] = tuple(tiers)
        self._recount(symbol)

    def leverage(self, symbol: str, leverage: int) -> None:
        """The leverage that is set for a symbol."""
        self._leverage[symbol] = leverage
        self._recount(symbol)

    def _recount(self, symbol: str) -> None:
        """At leverage L a position may reach the largest cap of the brackets that still allow L."""
        leverage = self._leverage.get(symbol)
        open_to = [cap for most, cap in self._tiers.get(symbol, ()) if leverage is not None and most >= leverage]
        if leverage is not None and open_to:
            self._caps[symbol] = Cap(max(open_to), leverage)
        else:
            self._caps.pop(symbol, None)
