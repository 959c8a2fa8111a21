"""What the exchange keeps of its accounts: orders, trades and incomes, behind a protocol.

`MemoryAccountStore` lives as long as its process. A store that outlives it (`coldframe.exchange_server.account_file`) writes down,
at every commit, the records that were noted since the one before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol, assert_never

from coldframe.enums import AlgoStatus
from coldframe.exchange.trading.entities import (
    Account,
    Algo,
    Amended,
    AnyEntity,
    Earned,
    Funded,
    LastPrices,
    Moved,
    Order,
    Traded,
)

#: How many finished orders, trades and incomes of an account are kept.
_KEPT: Final = 5000


class AccountBooks:
    """Everything about one account. Finished orders are kept up to a bound, the oldest go first."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.orders: dict[int, Order] = {}
        self.open: dict[int, Order] = {}
        self.algos: dict[int, Algo] = {}
        self.open_algos: dict[int, Algo] = {}
        #: Conditional orders whose ordinary order has not ended yet.
        self.triggered: dict[int, Algo] = {}
        self.trades: deque[Traded] = deque(maxlen=_KEPT)
        self.incomes: deque[Earned] = deque(maxlen=_KEPT)
        self.amendments: deque[Amended] = deque(maxlen=_KEPT)
        self.margin_changes: deque[Moved] = deque(maxlen=_KEPT)
        self._by_client_id: dict[str, int] = {}
        self._algo_by_client_id: dict[str, int] = {}

    def put_order(self, order: Order) -> None:
        """Takes a new or changed order."""
        if order.order_id not in self.orders:
            self.orders[order.order_id] = order
            self._by_client_id[order.client_id] = order.order_id
        if order.open:
            self.open[order.order_id] = order
        else:
            self.open.pop(order.order_id, None)
            self._forget_finished()

    def put_algo(self, algo: Algo) -> None:
        """Takes a new or changed conditional order."""
        self.algos[algo.algo_id] = algo
        self._algo_by_client_id[algo.client_id] = algo.algo_id
        _file_under(self.open_algos, algo, belongs=algo.open)
        _file_under(self.triggered, algo, belongs=algo.status is AlgoStatus.TRIGGERED)
        if len(self.algos) > _KEPT + len(self.open_algos) + len(self.triggered):
            oldest = next(algo for algo in self.algos.values() if algo.algo_id not in self.open_algos | self.triggered)
            del self.algos[oldest.algo_id]

    def order_of(self, symbol: str, order_id: int | None, client_id: str | None) -> Order | None:
        """An order by its id or, without one, by the latest use of its client id."""
        if order_id is None:
            order_id = self._by_client_id.get(client_id or "")
        order = self.orders.get(order_id) if order_id is not None else None
        return order if order is not None and order.symbol == symbol else None

    def algo_of(self, algo_id: int | None, client_id: str | None) -> Algo | None:
        """A conditional order by its id or client id."""
        if algo_id is None:
            algo_id = self._algo_by_client_id.get(client_id or "")
        return self.algos.get(algo_id) if algo_id is not None else None

    def open_with_client_id(self, client_id: str) -> bool:
        """Whether an open order carries this client id."""
        found = self._by_client_id.get(client_id)
        return found is not None and found in self.open

    def open_algo_with_client_id(self, client_id: str) -> bool:
        """Whether an open conditional order carries this client id."""
        found = self._algo_by_client_id.get(client_id)
        return found is not None and found in self.open_algos

    def of_symbol(self, symbol: str) -> list[Order]:
        """The open orders of a symbol, oldest first."""
        return [order for order in self.open.values() if order.symbol == symbol]

    def _forget_finished(self) -> None:
        if len(self.orders) <= _KEPT + len(self.open):
            return
        oldest = next(order for order in self.orders.values() if not order.open)
        del self.orders[oldest.order_id]
        if self._by_client_id.get(oldest.client_id) == oldest.order_id:
            del self._by_client_id[oldest.client_id]


def _file_under(shelf: dict[int, Algo], algo: Algo, *, belongs: bool) -> None:
    if belongs:
        shelf[algo.algo_id] = algo
    else:
        shelf.pop(algo.algo_id, None)


class AccountStore(Protocol):
    """The books of all accounts. What changes a record says so with `note`."""

    books: dict[str, AccountBooks]
    #: The last prices of the contracts, scaled, as a market that is made again begins with them.
    last_prices: dict[str, int]

    def add(self, account: Account) -> AccountBooks:
        """The books of an account: those remembered under its name, or new ones."""

    def funded_ms(self, symbol: str) -> int:
        """The last funding time of a symbol that was settled; 0 when there was none."""

    def orders_known(self) -> Iterator[int]:
        """The ids of all orders in the books."""

    def note(self, entity: AnyEntity) -> None:
        """Takes a new or changed record."""

    def commit(self) -> None:
        """Makes what was noted since the last commit last as long as the store does. Called before an answer leaves."""

    def close(self) -> None:
        """Ends the store."""


class MemoryAccountStore:
    """An account store that lives as long as its process."""

    def __init__(self) -> None:
        self.books: dict[str, AccountBooks] = {}
        self.last_prices: dict[str, int] = {}
        self._funded_ms: dict[str, int] = {}

    def add(self, account: Account) -> AccountBooks:
        """The books of an account: those remembered under its name, or new ones."""
        books = self.books.get(account.name)
        if books is None:
            books = self.books[account.name] = AccountBooks(account)
            self.note(account)
        return books

    def funded_ms(self, symbol: str) -> int:
        """The last funding time of a symbol that was settled; 0 when there was none."""
        return self._funded_ms.get(symbol, self._funded_ms.get("", 0))

    def orders_known(self) -> Iterator[int]:
        """The ids of all orders in the books."""
        return (order_id for books in self.books.values() for order_id in books.orders)

    def note(self, entity: AnyEntity) -> None:
        """Takes a new or changed record."""
        self._fold(entity)

    def commit(self) -> None:
        """Nothing is written."""

    def close(self) -> None:
        """Nothing is open."""

    def _fold(self, entity: AnyEntity) -> None:
        match entity:
            case Account():
                self.books.setdefault(entity.name, AccountBooks(entity)).account = entity
            case Order():
                self.books[entity.account].put_order(entity)
            case Algo():
                self.books[entity.account].put_algo(entity)
            case Traded():
                self.books[entity.account].trades.append(entity)
            case Earned():
                self.books[entity.account].incomes.append(entity)
            case Amended():
                self.books[entity.account].amendments.append(entity)
            case LastPrices():
                self.last_prices = entity.prices
            case Funded():
                self._funded_ms[entity.symbol] = entity.at_ms
            case Moved():
                self.books[entity.account].margin_changes.append(entity)
            case unknown:
                assert_never(unknown)
