"""Orders by name, in the order in which they came, and by strategy and symbol: looking for some never walks over all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, KeysView
from typing import Final

from coldframe.core.state.order import Order

_NONE: Final[dict[str, Order]] = {}


class OrderSet:
    """A set of orders. What is asked for costs as much as there is of it, not as much as there is in all."""

    def __init__(self) -> None:
        self._all: dict[str, Order] = {}
        self._by_strategy: dict[str, dict[str, Order]] = {}
        self._by_symbol: dict[str, dict[str, Order]] = {}
        self._by_both: dict[tuple[str, str], dict[str, Order]] = {}

    def keep(self, order: Order, wanted: bool) -> None:
        """The order is part of the set from now on, or is not; a part of it keeps its place."""
        if (order.client_order_id in self._all) is not wanted:
            (self._add if wanted else self._drop)(order)

    def _add(self, order: Order) -> None:
        name = order.client_order_id
        self._all[name] = order
        self._by_strategy.setdefault(order.strategy, {})[name] = order
        self._by_symbol.setdefault(order.symbol, {})[name] = order
        self._by_both.setdefault((order.strategy, order.symbol), {})[name] = order

    def _drop(self, order: Order) -> None:
        name, both = order.client_order_id, (order.strategy, order.symbol)
        del self._all[name]
        _drop_in(self._by_strategy, order.strategy, name)
        _drop_in(self._by_symbol, order.symbol, name)
        _drop_in(self._by_both, both, name)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Order]:
        return iter(self._all.values())

    @property
    def symbols(self) -> KeysView[str]:
        """The symbols of its orders."""
        return self._by_symbol.keys()

    def of(self, strategy: str, symbol: str | None = None) -> Collection[Order]:
        """The orders of a strategy, in all symbols or in one, in the order in which they came."""
        if symbol is None:
            return self._by_strategy.get(strategy, _NONE).values()
        return self._by_both.get((strategy, symbol), _NONE).values()

    def within(self, symbol: str) -> Collection[Order]:
        """The orders in a symbol, of any owner."""
        return self._by_symbol.get(symbol, _NONE).values()


def _drop_in(table: dict[str, dict[str, Order]] | dict[tuple[str, str], dict[str, Order]], key: object, name: str) -> None:
    """Takes an order out of the group of a key, and the group out of the table when it was the last one."""
    group = table[key]  # type: ignore[index]
    del group[name]
    if not group:
        del table[key]  # type: ignore[arg-type]
