"""An account store in a file, so that a restarted venue remembers orders and positions.

The file is a sequence of records, the last one of each thing counts. A record is handed to the operating system before the answer
that tells of it leaves, so that a killed process forgets nothing; a torn last line is dropped. At start the file is read, and
written anew without what is out of date.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, assert_never

from coldframe.errors import ConfigError, DecodeError
from coldframe.exchange.trading.account_store import MemoryAccountStore
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
    read_entity,
    write_entity,
)
from coldframe.filelocks import FileLock, LockTaken
from coldframe.localfiles import lines_of
from coldframe.os_specific import BINARY

_FILE: Final = "ledger.jsonl"


class FileAccountStore(MemoryAccountStore):
    """The books of all accounts, and a file in `directory`. Raises `ConfigError` when it cannot be kept there."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._noted: dict[int, AnyEntity] = {}
        self._held, self._file = self._opened(directory)

    def note(self, record: AnyEntity) -> None:
        super().note(record)
        if self._file is not None:
            self._noted[id(record)] = record

    def commit(self) -> None:
        """Writes what was noted since the last commit. Must be called before an answer leaves."""
        if self._file is not None and self._noted:
            os.write(self._file, b"".join(write_entity(record) for record in self._noted.values()))
        self._noted.clear()

    def close(self) -> None:
        """Ends the file."""
        if self._file is not None:
            self.commit()
            os.close(self._file)
            self._held.release()
            self._file = None

    def _opened(self, directory: Path) -> tuple[FileLock, int | None]:
        """The lock of the directory, and the file in it, open for what comes."""
        path = directory / _FILE
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            held = _lock_directory(directory)
            try:
                return held, self._taken_up(path)
            except BaseException:
                held.release()
                raise
        except OSError as error:
            raise ConfigError(f"{path}: venue.embedded.state_dir: the accounts cannot be kept here: {error.strerror}") from None

    def _taken_up(self, path: Path) -> int:
        """Reads the file, writes it anew without what is out of date, and returns it open for what comes."""
        latest = _read(path)
        for record in latest:
            self._fold(record)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(b"".join(write_entity(record) for record in latest))
        fresh.chmod(0o600)
        fresh.replace(path)
        return os.open(path, os.O_WRONLY | os.O_APPEND | BINARY)


def _lock_directory(directory: Path) -> FileLock:
    """Takes the directory for this process: two venues in one file would each lose what the other writes."""
    try:
        return FileLock(directory / "lock", "an embedded exchange")
    except LockTaken as taken:
        text = f"{directory}: venue.embedded.state_dir: another venue keeps its accounts here ({taken}); stop it first"
        raise ConfigError(text) from None


def _read(path: Path) -> list[AnyEntity]:
    """The latest form of every record in the file, in the order of their first appearance; a torn last line is left out."""
    if not path.exists():
        return []
    latest: dict[object, AnyEntity] = {}
    accounts: set[object] = {None}
    for number, line in enumerate(lines_of(path), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            record = read_entity(line[:-1])
            if isinstance(record, Account):
                accounts.add(record.name)
            elif (name := getattr(record, "account", None)) not in accounts:
                raise DecodeError(f"no line before it opens the account {name!r}", line)
        except DecodeError as error:
            raise ConfigError(f"{path}:{number}: venue.embedded.state_dir: not a record of the venue's accounts: {error}") from None
        latest[_key(record)] = record
    return list(latest.values())


def _key(record: AnyEntity) -> object:
    match record:
        case Account():
            return ("account", record.name)
        case Order():
            return ("order", record.order_id)
        case Algo():
            return ("algo", record.algo_id)
        case Funded():
            return ("funded", record.symbol)
        case LastPrices():
            return type(record)
        case Traded() | Earned() | Amended() | Moved():  # part of a history: each counts
            return record
        case unknown:
            assert_never(unknown)
