"""A journal on disk: one SQLite table, each row chained to the one before by its hash, and a head that names the last of them.

Rows are written in transactions that are on the disk when `write` returns (WAL, synchronous=FULL), from any thread, one at a time.
Reading proves the chain: a row that was changed, lost or added is named, and nothing after it is believed. Only one process may
hold a journal. The schema is described in `docs/journal.md`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from coldframe.errors import JournalDamaged, JournalUnwritable
from coldframe.filelocks import FileLock, LockTaken
from coldframe.model.journal import Row, RowKind

FORMAT: Final = 1
_SEED: Final = b"coldframe journal 1"
SCHEMA: Final = f"""
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind TEXT NOT NULL, ref TEXT NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL, checkpoint INTEGER NOT NULL
) STRICT;
INSERT INTO head VALUES (1, 0, x'{_SEED.hex()}', 0);
PRAGMA user_version = {FORMAT};
"""
#: What stands in the lock beside a journal that was made.
_MADE: Final = "made"
#: No row is larger, checkpoints of many thousand orders included (bytes).
_LARGEST_ROW: Final = 256_000_000
_ROW: Final = "SELECT seq, at_ns, kind, ref, body, hash FROM journal"

#: What a row is before it has its place: our time, kind, reference, body.
Entry = tuple[int, str, str, Any]


@attrs.define
class _Head:
    """The last row, and the last checkpoint before it (0: none)."""

    seq: int
    hash: bytes
    checkpoint: int


class JournalFile:
    """A journal opened for writing; this process holds it until `close`. `write` may be called from any thread."""

    def __init__(self, path: Path, holder: str = "") -> None:
        """Opens or makes it; `holder` tells others who holds it. Raises `JournalUnwritable` or `JournalDamaged`."""
        self.path = path
        self._lock = threading.Lock()
        self._broken = ""
        self._held = _hold(path, holder)
        try:
            self._db = _opened(path, self._held)
            self._head = _head(self._db, path)
        except BaseException:
            self._held.release()
            raise

    def write(self, entries: Sequence[Entry]) -> int:
        """Writes rows in one transaction; they are durable when it returns, with the number of the last one.

        Raises `JournalUnwritable`, and then none of them stands.
        """
        with self._lock:
            if self._broken:
                raise JournalUnwritable(self._broken)
            head = attrs.evolve(self._head)
            rows = [_chained(head, entry) for entry in entries]
            try:
                with self._db:
                    self._db.execute("BEGIN IMMEDIATE")
                    self._db.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", rows)
                    self._db.execute("UPDATE head SET seq = ?, hash = ?, checkpoint = ?", (head.seq, head.hash, head.checkpoint))
            except sqlite3.Error as error:
                text = f"{self.path}: {error}"
                if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_IOERR:
                    # After a failed fsync nobody knows what stands on the disk: nothing more is written through this descriptor.
                    self._broken = f"{text}; the disk has failed: restart on a sound one"
                raise JournalUnwritable(self._broken or text) from None
            self._head = head
            return head.seq

    def state_rows(self) -> Iterator[Row]:
        """The rows that a restart needs: from the last checkpoint on. Raises `JournalDamaged`."""
        return _proved(self._db, self.path, self._head, max(self._head.checkpoint, 1))

    def close(self) -> None:
        """Lets go of it; what was written stands in one file again."""
        with self._lock:
            try:
                self._db.close()
            finally:
                self._held.release()


def read_rows(path: Path, first: int = 1) -> Iterator[Row]:
    """The rows of a journal from number `first` on, proved one by one, also while a bot writes to it.

    Raises `JournalUnwritable` when it cannot be opened, `JournalDamaged` at the first row that is not what was written.
    """
    if not path.is_file():
        raise JournalUnwritable(f"{path}: there is no such journal")
    with closing(_connect(path)) as db:
        db.execute("BEGIN")
        yield from _proved(db, path, _head(db, path), first)


# -- the chain ----------------------------------------------------------------------------------------------------------


def _chained(head: _Head, entry: Entry) -> tuple[int, int, str, str, str, bytes]:
    """The row that an entry becomes, at the end of the chain; moves the head on to it."""
    at_ns, kind, ref, body = entry
    text = msgspec.json.encode(body).decode()
    head.seq += 1
    head.hash = _link(head.hash, head.seq, at_ns, kind, ref, text)
    if kind == RowKind.CHECKPOINT:
        head.checkpoint = head.seq
    return head.seq, at_ns, str(kind), ref, text, head.hash


def _link(before: bytes, seq: int, at_ns: int, kind: str, ref: str, text: str) -> bytes:
    """The hash of a row, over everything in it and the hash of the row before."""
    whole = msgspec.json.encode((seq, at_ns, kind, ref, text))
    return blake2b(before + whole, digest_size=16).digest()


def _proved(db: sqlite3.Connection, path: Path, head: _Head, first: int) -> Iterator[Row]:
    """The rows from number `first` to the head, each checked against the hash before it."""
    seq, at = first - 1, _SEED
    try:
        if seq:
            at = _hash_of(db, seq)
        for found in db.execute(f"{_ROW} WHERE seq >= ? ORDER BY seq", (first,)):
            row = _row(found, seq + 1, at)
            seq, at = seq + 1, found[5]
            yield row
    except RecursionError:
        raise JournalDamaged(f"{path}: row {seq + 1} cannot be believed: it is nested too deeply") from None
    except (sqlite3.Error, UnicodeDecodeError, ValueError, TypeError) as error:
        raise JournalDamaged(f"{path}: row {seq + 1} cannot be believed: {error}") from None
    if seq != head.seq or at != head.hash:
        raise JournalDamaged(f"{path}: it ends with row {seq}, and its head names row {head.seq}: rows have been lost or changed")


def _row(found: Sequence[Any], seq: int, before: bytes) -> Row:
    number, at_ns, kind, ref, text, proof = found
    if number != seq:
        raise ValueError(f"row {seq} is missing, {number} comes instead")
    if _link(before, number, at_ns, kind, ref, text) != proof:
        raise ValueError("its hash is another one")
    return Row(number, at_ns, kind, ref, msgspec.json.decode(text))


def _hash_of(db: sqlite3.Connection, seq: int) -> bytes:
    found = db.execute("SELECT hash FROM journal WHERE seq = ?", (seq,)).fetchone()
    if found is None:
        raise ValueError("the row before it is missing")
    return bytes(found[0])


def _head(db: sqlite3.Connection, path: Path) -> _Head:
    try:
        found = db.execute("SELECT seq, hash, checkpoint FROM head").fetchall()
        (row,) = found
        head = _Head(int(row[0]), bytes(row[1]), int(row[2]))
        if head.checkpoint and not _is_checkpoint(db, head.checkpoint):
            raise ValueError(f"row {head.checkpoint} is no checkpoint")
    except (sqlite3.Error, UnicodeDecodeError, ValueError, TypeError) as error:
        raise JournalDamaged(f"{path}: its head cannot be read: {error}") from None
    return head


def _is_checkpoint(db: sqlite3.Connection, seq: int) -> bool:
    found = db.execute("SELECT kind FROM journal WHERE seq = ?", (seq,)).fetchone()
    return found is not None and found[0] == RowKind.CHECKPOINT


# -- the file -----------------------------------------------------------------------------------------------------------


def _opened(path: Path, held: FileLock) -> sqlite3.Connection:
    """The journal for writing. The lock beside it remembers that it was made: one that is empty since then has been lost."""
    db = _connect(path, make=held.mark != _MADE)
    try:
        held.set_mark(_MADE)
    except OSError as error:
        db.close()
        raise JournalUnwritable(f"{held.path}: {error.strerror}") from None
    return db


def _connect(path: Path, *, make: bool = False) -> sqlite3.Connection:
    """An open journal, made if it may be. Everything written through it is on the disk when its transaction ends."""
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2)
    except sqlite3.Error as error:
        raise JournalUnwritable(f"{path}: {error}") from None
    try:
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_ROW)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == 0 and make:
            _make(db)
        elif version == 0:
            raise JournalDamaged(f"{path}: it is empty, or no journal; rows were written to it once, if there is a .lock beside it")
        elif version != FORMAT:
            raise JournalDamaged(f"{path}: it is no journal of format {FORMAT} (it says {version})")
        db.execute("PRAGMA synchronous = FULL")
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
