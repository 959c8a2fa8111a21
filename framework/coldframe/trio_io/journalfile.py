"""A journal on disk: one SQLite table, each row chained to the one before by its hash, and a head that names the last of them.

Rows are written in transactions that are on the disk when `write` returns (WAL, synchronous=FULL), from any thread, one at a time.
Reading proves the chain: a row that was changed, lost or added is named, and nothing after it is believed. Only one process may
hold a journal. What has been rotated out or pruned is named by the head too: the first row that the file answers for is a
checkpoint then, and the hash of the row before it anchors the chain. The schema is described in `docs/journal.md`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import attrs

from coldframe.errors import JournalDamaged, JournalUnwritable
from coldframe.filelocks import FileLock, LockTaken
from coldframe.model.journal import Row, RowKind
from coldframe.trio_io.journal_chain import LARGEST_ROW, SEED, Cells, Entry, chained, proved, row_of

FORMAT: Final = 2
#: A journal of this format is read as it stands, and becomes one of `FORMAT` when it is opened for writing.
_FORMER: Final = 1
SCHEMA: Final = f"""
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind TEXT NOT NULL, ref TEXT NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL, checkpoint INTEGER NOT NULL,
    first INTEGER NOT NULL, before BLOB NOT NULL
) STRICT;
INSERT INTO head VALUES (1, 0, x'{SEED.hex()}', 0, 1, x'{SEED.hex()}');
PRAGMA user_version = {FORMAT};
"""
_UPGRADE: Final = f"""
BEGIN IMMEDIATE;
ALTER TABLE head ADD COLUMN first INTEGER NOT NULL DEFAULT 1;
ALTER TABLE head ADD COLUMN before BLOB NOT NULL DEFAULT x'{SEED.hex()}';
PRAGMA user_version = {FORMAT};
COMMIT;
"""
_SIZES: Final = ("page_count", "freelist_count", "page_size")
_NO_END: Final = 1 << 62
#: What stands in the lock beside a journal that was made.
_MADE: Final = "made"
_ROW: Final = "SELECT seq, at_ns, kind, ref, body, hash FROM journal"
#: The write-ahead log is cut back to this size when it has been emptied: a long read lets it grow (bytes).
_LOG_SIZE: Final = 16_000_000


@attrs.define
class Head:
    """The last row, and the last checkpoint before it (0: none).

    `first` is the first row that the file answers for, and `before` the hash of the row before that one.
    """

    seq: int
    hash: bytes
    checkpoint: int
    first: int = 1
    before: bytes = SEED


class JournalFile:
    """A journal opened for writing; this process holds it until `close`. `write` may be called from any thread."""

    def __init__(self, path: Path, holder: str = "") -> None:
        """Opens or makes it; `holder` tells others who holds it. Raises `JournalUnwritable` or `JournalDamaged`."""
        self.path = path
        self._lock = threading.Lock()
        self._broken = ""
        #: The last row of each order that was written past the engine, which has written none of its own since. There are as many
        #: as the kill switch has orders.
        self._unheard: dict[str, Entry] = {}
        self._held = _hold(path, holder)
        try:
            self._db = _opened(path, self._held)
            self._head = _head_of(self._db, path)
        except BaseException:
            self._held.release()
            raise

    def write(self, entries: Sequence[Entry]) -> int:
        """Writes rows in one transaction; they are durable when it returns, with the number of the last one.

        Raises `JournalUnwritable`, and then none of them stands.
        """
        with self._lock:
            unheard = dict(self._unheard)
            last = self._append(_with_unheard(entries, unheard))
            self._unheard = unheard
            return last

    def write_past_the_engine(self, entry: Entry) -> int:
        """Writes a row of which the engine has not heard; `write` repeats that of an order behind each checkpoint that lacks it.

        It is repeated until the engine writes a row of that order. Durable when it returns. Raises `JournalUnwritable`.
        """
        with self._lock:
            last = self._append([entry])
            if entry[1] == RowKind.ORDER:
                self._unheard[entry[2]] = entry
            return last

    def _append(self, entries: Iterable[Entry]) -> int:
        head = attrs.evolve(self._head)
        rows = [_placed(head, entry) for entry in entries]
        with self._transaction():
            self._db.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", rows)
            self._db.execute("UPDATE head SET seq = ?, hash = ?, checkpoint = ?", (head.seq, head.hash, head.checkpoint))
        self._head = head
        return head.seq

    def state_rows(self) -> Iterator[Row]:
        """The rows that a restart needs: from the last checkpoint on. Raises `JournalDamaged`."""
        return rows_from(self._db, self.path, self._head, max(self._head.checkpoint, self._head.first))

    # -- its bounds -----------------------------------------------------------------------------------------------------

    @property
    def head(self) -> Head:
        """Where it begins and ends now."""
        with self._lock:
            return attrs.evolve(self._head)

    @property
    def used_bytes(self) -> int:
        """How much of the file rows take up; the rest of it is free for rows to come. Raises `JournalUnwritable`."""
        with self._lock, self._unharmed():
            pages, free, size = (self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in _SIZES)
        return int((pages - free) * size)

    def portion(self, first: int, end: int) -> list[Cells]:
        """The rows from number `first` up to but without number `end`, each proved. Raises `JournalDamaged`."""
        with self._lock:
            before = _hash_before(self._db, self.path, self._head, first)
            return list(proved(self.path, _rows_between(self._db, self.path, first, end), first, before))

    def checkpoint_until(self, at_ns: int) -> int:
        """The last checkpoint that was written up to a moment (our time), behind the first row; 0: there is none.

        Raises `JournalUnwritable`.
        """
        wanted = "SELECT max(seq) FROM journal WHERE kind = ? AND seq > ? AND at_ns <= ?"
        with self._lock, self._unharmed():
            (seq,) = self._db.execute(wanted, (RowKind.CHECKPOINT, self._head.first, at_ns)).fetchone()
        return int(seq or 0)

    def hash_of(self, seq: int) -> bytes:
        """The hash of row number `seq`. Raises `JournalDamaged`."""
        with self._lock:
            return _hash_before(self._db, self.path, self._head, seq + 1)

    def cut(self, first: int, before: bytes) -> None:
        """From now on the journal begins with row `first`, a checkpoint; `before` is the hash of the row before it.

        Durable when it returns; `sweep` frees the room. Raises `JournalUnwritable`, and then nothing has changed.
        """
        with self._lock:
            if not self._head.first < first <= self._head.checkpoint or not _is_checkpoint(self._db, first):
                raise ValueError(f"the journal cannot begin with row {first}")
            with self._transaction():
                self._db.execute("UPDATE head SET first = ?, before = ?", (first, before))
            self._head.first, self._head.before = first, before

    def sweep(self, rows: int) -> bool:
        """Frees the room of so many rows that stand before the first one. Returns whether there were any.

        Raises `JournalUnwritable`.
        """
        with self._lock, self._transaction():
            (least,) = self._db.execute("SELECT min(seq) FROM journal").fetchone()
            end = self._head.first if least is None else min(self._head.first, least + rows)
            return self._db.execute("DELETE FROM journal WHERE seq < ?", (end,)).rowcount > 0

    def compact(self) -> None:
        """Gives the free room of the file back to the disk; it is written anew for that. Raises `JournalUnwritable`."""
        with self._lock, self._unharmed():
            self._db.execute("VACUUM")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._broken:
            raise JournalUnwritable(self._broken)
        with self._unharmed(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield

    @contextmanager
    def _unharmed(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            text = f"{self.path}: {error}"
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_IOERR:
                # After a failed fsync what stands on the disk is unknown: nothing more is written through this descriptor.
                self._broken = f"{text}; the disk has failed: restart on a sound one"
            raise JournalUnwritable(self._broken or text) from None

    def close(self) -> None:
        """Lets go of it; what was written stands in one file again."""
        with self._lock:
            try:
                self._db.close()
            finally:
                self._held.release()


@contextmanager
def opened_for_reading(path: Path, largest_row: int = LARGEST_ROW) -> Iterator[tuple[sqlite3.Connection, Head]]:
    """The journal as it stands now, whatever is written meanwhile. Raises `JournalUnwritable` or `JournalDamaged`."""
    if not path.is_file():
        raise JournalUnwritable(f"{path}: there is no such journal")
    with closing(_connect(path, largest_row=largest_row)) as db:
        db.execute("BEGIN")
        yield db, _head_of(db, path)


def rows_from(db: sqlite3.Connection, path: Path, head: Head, first: int) -> Iterator[Row]:
    """The rows from number `first` to the last, each proved, and that the last one is the head's. Raises `JournalDamaged`."""
    seq, at = first - 1, _hash_before(db, path, head, first)
    for cells in proved(path, _rows_between(db, path, first, _NO_END), first, at):
        yield row_of(path, cells)
        seq, at = cells[0], cells[5]
    if (seq, at) != (head.seq, head.hash):
        raise JournalDamaged(f"{path}: it ends with row {seq}, and its head names row {head.seq}: rows have been lost or changed")


def _rows_between(db: sqlite3.Connection, path: Path, first: int, end: int) -> sqlite3.Cursor:
    try:
        return db.execute(f"{_ROW} WHERE seq >= ? AND seq < ? ORDER BY seq", (first, end))
    except sqlite3.Error as error:
        raise JournalDamaged(f"{path}: row {first} is damaged: {error}") from None


def _hash_before(db: sqlite3.Connection, path: Path, head: Head, seq: int) -> bytes:
    """The hash of the row before row number `seq`. Raises `JournalDamaged`."""
    if seq == head.first:
        return head.before
    try:
        found = db.execute("SELECT hash FROM journal WHERE seq = ?", (seq - 1,)).fetchone()
    except sqlite3.Error as error:
        raise JournalDamaged(f"{path}: row {seq} is damaged: {error}") from None
    if found is None:
        raise JournalDamaged(f"{path}: row {seq} is damaged: the row before it is missing")
    return bytes(found[0])


# -- the head -----------------------------------------------------------------------------------------------------------


def _with_unheard(entries: Iterable[Entry], unheard: dict[str, Entry]) -> Iterator[Entry]:
    """The rows, and behind each checkpoint those that are `unheard`; takes out what the rows tell of themselves.

    A restart reads from the last checkpoint on: without it an order that is on its way would not be asked for.
    """
    for entry in entries:
        yield entry
        at_ns, kind, ref, body = entry
        if kind == RowKind.ORDER:
            unheard.pop(ref, None)
        elif kind == RowKind.CHECKPOINT and unheard:
            for order in body["orders"]:
                unheard.pop(order["client_order_id"], None)
            yield from [(max(at_ns, before_ns), *rest) for before_ns, *rest in unheard.values()]


def _placed(head: Head, entry: Entry) -> Cells:
    """The row that an entry becomes, at the end of the chain; moves the head on to it."""
    cells = chained(entry, head.seq + 1, head.hash)
    head.seq, head.hash = cells[0], cells[5]
    if cells[2] == RowKind.CHECKPOINT:
        head.checkpoint = head.seq
    return cells


def _head_of(db: sqlite3.Connection, path: Path) -> Head:
    """Where a journal begins and ends. Raises `JournalDamaged`."""
    try:
        (row,) = db.execute("SELECT * FROM head").fetchall()
        head = Head(*(kind(cell) for kind, cell in zip((int, bytes, int, int, bytes), row[1:], strict=False)))
        for seq in (head.checkpoint, head.first if head.first > 1 else 0):
            if seq and not _is_checkpoint(db, seq):
                raise ValueError(f"row {seq} is not a checkpoint")
        if head.checkpoint < head.first != 1:
            raise ValueError(f"it begins with row {head.first}, behind its last checkpoint")
    except (sqlite3.Error, UnicodeDecodeError, ValueError, TypeError) as error:
        raise JournalDamaged(f"{path}: its head cannot be read: {error}") from None
    return head


def _is_checkpoint(db: sqlite3.Connection, seq: int) -> bool:
    found = db.execute("SELECT kind FROM journal WHERE seq = ?", (seq,)).fetchone()
    return found is not None and found[0] == RowKind.CHECKPOINT


# -- the file -----------------------------------------------------------------------------------------------------------


def _opened(path: Path, held: FileLock) -> sqlite3.Connection:
    """The journal for writing, in today's format. The lock beside it remembers that it was made: an empty one has been lost."""
    db = _connect(path, make=held.mark != _MADE)
    try:
        if db.execute("PRAGMA user_version").fetchone() == (_FORMER,):
            db.executescript(_UPGRADE)
        held.set_mark(_MADE)
    except sqlite3.Error as error:
        db.close()
        raise JournalUnwritable(f"{path}: {error}") from None
    except OSError as error:
        db.close()
        raise JournalUnwritable(f"{held.path}: {error.strerror}") from None
    return db


def _connect(path: Path, *, make: bool = False, largest_row: int = LARGEST_ROW) -> sqlite3.Connection:
    """An open journal, made if it may be. Everything written through it is on the disk when its transaction ends."""
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2)
    except sqlite3.Error as error:
        raise JournalUnwritable(f"{path}: {error}") from None
    try:
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, largest_row)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == 0 and make:
            _make(db)
        elif version == 0:
            raise JournalDamaged(f"{path}: it is empty, or no journal; rows were written to it once, if there is a .lock beside it")
        elif version not in (FORMAT, _FORMER):
            raise JournalDamaged(f"{path}: not a journal of format {FORMAT}: it says format {version}")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {_LOG_SIZE}")
    except sqlite3.OperationalError as error:
        db.close()
        raise JournalUnwritable(f"{path}: {error}") from None
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        db.close()
        raise JournalDamaged(f"{path}: {error}") from None
    except JournalDamaged:
        db.close()
        raise
    return db


def _make(db: sqlite3.Connection) -> None:
    """An empty journal. A file that holds anything else is left alone."""
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
        raise sqlite3.DatabaseError("it is another program's database")
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")


def _hold(path: Path, holder: str) -> FileLock:
    """Takes the journal for this process. Raises `JournalUnwritable` when another one has it, or nothing can be written there."""
    lock = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        return FileLock(lock, holder)
    except LockTaken as taken:
        text = f"{path}: another bot is writing this journal ({taken}); stop it, or give this one another file"
        raise JournalUnwritable(text) from None
    except OSError as error:
        raise JournalUnwritable(f"{path}: the journal cannot be written here: {error.strerror}") from None
