"""The chain of a journal: the hash of each row covers the row and the hash of the row before it.

Rows travel as they stand on the disk (`Cells`); the live file and its archived segments are proved by the same code.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

from coldframe.errors import JournalDamaged
from coldframe.model.journal import Row

#: What stands for the hash of the row before the first one.
SEED: Final = b"coldframe journal 1"
#: No row is larger, checkpoints of many thousand orders included (bytes).
LARGEST_ROW: Final = 256_000_000

#: What a row is before it has its place: our time, kind, reference, body.
Entry = tuple[int, str, str, Any]
#: A row as it stands on the disk: number, our time, kind, reference, body as text, hash.
Cells = tuple[int, int, str, str, str, bytes]


def chained(entry: Entry, seq: int, before: bytes) -> Cells:
    """The row number `seq` that an entry becomes, behind a row with the hash `before`."""
    at_ns, kind, ref, body = entry
    text = msgspec.json.encode(body).decode()
    return seq, at_ns, str(kind), ref, text, link(before, seq, at_ns, kind, ref, text)


def proved(path: Path, rows: Iterable[Sequence[Any]], first: int, before: bytes) -> Iterator[Cells]:
    """The rows that begin with number `first`, each checked against the hash before it. Raises `JournalDamaged`."""
    seq, at = first, before
    try:
        for found in rows:
            cells = _checked(found, seq, at)
            yield cells
            seq, at = seq + 1, cells[5]
    except (sqlite3.Error, OSError, EOFError, zlib.error, ValueError, TypeError) as error:
        raise JournalDamaged(f"{path}: row {seq} is damaged: {error}") from None


def row_of(path: Path, cells: Cells) -> Row:
    """The row with its body decoded. Raises `JournalDamaged`."""
    seq, at_ns, kind, ref, text, _ = cells
    try:
        return Row(seq, at_ns, kind, ref, msgspec.json.decode(text))
    except RecursionError:
        raise JournalDamaged(f"{path}: row {seq} is damaged: it is nested too deeply") from None
    except ValueError as error:
        raise JournalDamaged(f"{path}: row {seq} is damaged: {error}") from None


def _checked(found: Sequence[Any], seq: int, before: bytes) -> Cells:
    number, at_ns, kind, ref, text, proof = found
    if number != seq:
        raise ValueError(f"row {seq} is missing, {number} comes instead")
    if link(before, number, at_ns, kind, ref, text) != proof:
        raise ValueError("its hash is another one")
    return number, at_ns, kind, ref, text, bytes(proof)


def link(before: bytes, seq: int, at_ns: int, kind: str, ref: str, text: str) -> bytes:
    """The hash of a row, over everything in it and the hash of the row before."""
    whole = msgspec.json.encode((seq, at_ns, kind, ref, text))
    return blake2b(before + whole, digest_size=16).digest()
