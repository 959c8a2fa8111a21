"""What can be traded: the contracts a venue lists, with their rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal

import attrs

from coldframe.enums import ContractStatus
from coldframe.units import ZERO, ceil_to, floor_to, nearest_to
from coldframe.wire.filters import Filters
from coldframe.wire.reference import SymbolInfo


@attrs.frozen
class Instrument:
    """One contract: its assets, its state, its filters."""

    symbol: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    status: ContractStatus
    filters: Filters
    order_types: frozenset[str] = frozenset()
    times_in_force: frozenset[str] = frozenset()

    @classmethod
    def of(cls, info: SymbolInfo) -> Instrument:
        """The contract in one row of exchangeInfo. Raises `ValueError` for a malformed number in its filters."""
        return cls(
            info.symbol,
            info.base_asset,
            info.quote_asset,
            info.margin_asset,
            info.status,
            Filters.of(info),
            frozenset(info.order_types),
            frozenset(info.time_in_force),
        )

    @property
    def tick(self) -> Decimal:
        """The price increment."""
        return self.filters.tick

    @property
    def step(self) -> Decimal:
        """The quantity increment, in units of the base asset."""
        return self.filters.lot.step

    @property
    def min_quantity(self) -> Decimal:
        return self.filters.lot.min

    @property
    def trading(self) -> bool:
        return self.status is ContractStatus.TRADING

    def price(self, value: Decimal) -> Decimal:
        """The price on the tick nearest to `value`."""
        return _on_grid(nearest_to, value, self.tick, self.filters.min_price)

    def price_down(self, value: Decimal) -> Decimal:
        """The highest price on a tick that is not above `value`: for a bid."""
        return _on_grid(floor_to, value, self.tick, self.filters.min_price)

    def price_up(self, value: Decimal) -> Decimal:
        """The lowest price on a tick that is not below `value`: for an ask."""
        return _on_grid(ceil_to, value, self.tick, self.filters.min_price)

    def quantity(self, value: Decimal) -> Decimal:
        """The largest quantity on a step that is not above `value`."""
        return _on_grid(floor_to, value, self.step, self.min_quantity)


def _on_grid(rounded: Callable[[Decimal, Decimal], Decimal], value: Decimal, step: Decimal, least: Decimal) -> Decimal:
    """A value rounded to the steps of a filter, which the exchange counts from the filter's least value (seeds, LOT_SIZE).

    That is the same as counting from zero for every contract seen so far. Below the least value no step is legal, so the value is
    rounded to a multiple there.
    """
    offset = least % step if step else ZERO
    return rounded(value, step) if not offset or value < least else rounded(value - offset, step) + offset


class Instruments(Mapping[str, Instrument]):
    """All contracts of a venue by symbol. Rows that belong to another product (COIN-M) or cannot be read are left out."""

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self._by_symbol = {instrument.symbol: instrument for instrument in instruments}

    @classmethod
    def of(cls, infos: Iterable[SymbolInfo]) -> Instruments:
        """The contracts in an exchangeInfo; a row with broken filters is left out, and so cannot be traded."""
        readable = []
        for info in infos:
            try:
                readable.append(Instrument.of(info))
            except ValueError:
                continue
        return cls(readable)

    def __getitem__(self, symbol: str) -> Instrument:
        return self._by_symbol[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_symbol)

    def __len__(self) -> int:
        return len(self._by_symbol)

    def with_status(self, symbol: str, status: ContractStatus) -> Instruments:
        """These contracts, with one of them in another state; unchanged when the symbol is not listed."""
        known = self._by_symbol.get(symbol)
        if known is None:
            return self
        return self.having(attrs.evolve(known, status=status))

    def having(self, instrument: Instrument) -> Instruments:
        """These contracts, with one of them as given."""
        return Instruments((self._by_symbol | {instrument.symbol: instrument}).values())
