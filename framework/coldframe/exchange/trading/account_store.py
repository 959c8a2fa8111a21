"""The books of the venue: accounts, orders, trades and incomes in memory, and in a file when they shall outlive the process.

The file is a sequence of records, the last one of each thing counts. A record is handed to the operating system before the answer
that tells of it leaves, so that a killed process forgets nothing; a torn last line is dropped. At start the file is read, and
written anew without what is out of date.
"""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from coldframe.enums import AlgoStatus
from coldframe.errors import ConfigError, DecodeError
from coldframe.exchange.trading.entities import (
    Account,
    Algo,
    Amended,
    Earned,
    Funded,
    Marks,
    Moved,
    Order,
    Record,
    Traded,
    read_record,
    write_record,
)
from coldframe.localfiles import lines_of

#: How many finished orders, trades and incomes of an account are kept.
_KEPT: Final = 5000
_FILE: Final = "ledger.jsonl"


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


class AccountStore:
    """The books of all accounts. Whoever changes a record says so with `note`; `commit` writes what was noted."""

    def __init__(self, directory: Path | None = None) -> None:
        self.books: dict[str, AccountBooks] = {}
        self.marks: dict[str, int] = {}
        self._funded_ms: dict[str, int] = {}
        self._noted: dict[int, Record] = {}
        self._file: int | None = None
        self._held = -1
        if directory is not None:
            self._open(directory)

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

    def note(self, record: Record) -> None:
        """Takes a new or changed record."""
        self._fold(record)
        if self._file is not None:
            self._noted[id(record)] = record

    def commit(self) -> None:
        """Writes what was noted since the last commit. Must be called before an answer leaves."""
        if self._file is not None and self._noted:
            os.write(self._file, b"".join(write_record(record) for record in self._noted.values()))
        self._noted.clear()

    def close(self) -> None:
        """Ends the file."""
        if self._file is not None:
            self.commit()
            os.close(self._file)
            os.close(self._held)
            self._file = None

    def _fold(self, record: Record) -> None:
        match record:
            case Account():
                self.books.setdefault(record.name, AccountBooks(record)).account = record
            case Order():
                self.books[record.account].put_order(record)
            case Algo():
                self.books[record.account].put_algo(record)
            case Traded():
                self.books[record.account].trades.append(record)
            case Earned():
                self.books[record.account].incomes.append(record)
            case Amended():
                self.books[record.account].amendments.append(record)
            case Marks():
                self.marks = record.prices
            case Funded():
                self._funded_ms[record.symbol] = record.at_ms
            case Moved():
                self.books[record.account].margin_changes.append(record)

    def _open(self, directory: Path) -> None:
        path = directory / _FILE
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._held = _hold(directory)
            try:
                self._file = self._taken_up(path)
            except BaseException:
                os.close(self._held)
                raise
        except OSError as error:
            raise ConfigError(f"{path}: venue.embedded.state_dir: the ledger cannot be kept here: {error.strerror}") from None

    def _taken_up(self, path: Path) -> int:
        """Reads the file, writes it anew without what is out of date, and returns it open for what comes."""
        latest = _read(path)
        for record in latest:
            self._fold(record)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(b"".join(write_record(record) for record in latest))
        fresh.chmod(0o600)
        fresh.replace(path)
        return os.open(path, os.O_WRONLY | os.O_APPEND)


def _hold(directory: Path) -> int:
    """Takes the directory for this process: two venues in one file would each lose what the other writes."""
    held = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise ConfigError(f"{directory}: venue.embedded.state_dir: another venue keeps its ledger here; stop it first") from None
    return held


def _read(path: Path) -> list[Record]:
    """The latest form of every record in the file, in the order of their first appearance; a torn last line is left out."""
    if not path.exists():
        return []
    latest: dict[object, Record] = {}
    accounts: set[object] = {None}
    for number, line in enumerate(lines_of(path), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            record: Record = read_record(line[:-1])
            if isinstance(record, Account):
                accounts.add(record.name)
            elif (name := getattr(record, "account", None)) not in accounts:
                raise DecodeError(f"no line before it opens the account {name!r}", line)
        except DecodeError as error:
            raise ConfigError(f"{path}:{number}: venue.embedded.state_dir: not a record of the venue's ledger: {error}") from None
        latest[_key(record)] = record
    return list(latest.values())


def _key(record: Record) -> object:
    match record:
        case Account():
            return ("account", record.name)
        case Order():
            return ("order", record.order_id)
        case Algo():
            return ("algo", record.algo_id)
        case Funded():
            return ("funded", record.symbol)
        case Marks():
            return type(record)
        case _:
            return record
