"""Locks between processes of this machine: a file that one process holds at a time, and in which stands who does.

The lock is the system's, by `filelock`, and ends with its process, however that ends. The file stays. Its first line is a mark of
all who use the lock, its second line says who holds it: that line is for people, only the system knows whether it still holds.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from filelock import lock_descriptor

from coldframe.os_specific import BINARY

_PRIVATE: Final = 0o600
_UNMARKED: Final = "-"
#: So much of a lock file is read (bytes).
_LONGEST: Final = 4096


class LockTaken(Exception):
    """Another process holds the lock, or this one by another `FileLock`. The text says who: `pid 4711, bot x of x.toml`."""


class FileLock:
    """A lock that this process holds until `release`."""

    def __init__(self, path: Path, holder: str = "") -> None:
        """Takes it at once; `holder` says for what. Raises `LockTaken`, or `OSError` where such a file is not possible."""
        self.path = path
        self._holder = f"pid {os.getpid()}{', ' if holder else ''}{holder}".replace("\n", " ")
        self._handle = _locked(path)
        self._mark = _lines(self._handle)[0]
        with suppress(OSError):  # a full disk: who holds it is not told, but it is held
            self._write(self._holder)

    @property
    def mark(self) -> str:
        """What `set_mark` has left in the file, by this process or an earlier one; empty at first."""
        return "" if self._mark == _UNMARKED else self._mark

    def set_mark(self, mark: str) -> None:
        """Leaves one word in the file for those who hold it later. Raises `OSError`."""
        self._mark = mark
        self._write(self._holder)

    def release(self, *, remove: bool = False) -> None:
        """Lets go of it; also takes the file away if `remove`."""
        if self._handle < 0:
            return
        with suppress(OSError):
            self._write("")
        removed = not remove or self._unlinked()
        os.close(self._handle)
        self._handle = -1
        if not removed:  # Windows deletes no file that is open; there one that another process has opened since stays
            self._unlinked()

    def _unlinked(self) -> bool:
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def _write(self, holder: str) -> None:
        body = f"{self._mark or _UNMARKED}\n{holder}{chr(10) if holder else ''}".encode(errors="surrogateescape")[:_LONGEST]
        os.lseek(self._handle, 0, os.SEEK_SET)
        os.write(self._handle, body)
        os.ftruncate(self._handle, len(body))


def holder_of(path: Path) -> str | None:
    """Who holds a lock; None when it is free, or there is no such file."""
    try:
        handle = os.open(path, os.O_RDWR | BINARY)
    except OSError:
        return None
    try:
        return None if lock_descriptor(handle, blocking=False) else _text_of(handle)
    except OSError:
        return None
    finally:
        os.close(handle)


def _locked(path: Path) -> int:
    """The file, open and locked, and still the one that stands under its path."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | BINARY, _PRIVATE)
        try:
            if not lock_descriptor(handle, blocking=False):
                raise LockTaken(_text_of(handle))
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # deleted between the two: the next one is made anew


def _text_of(handle: int) -> str:
    return _lines(handle)[1] or "a process that has not said which"


def _lines(handle: int) -> tuple[str, str]:
    """The mark and the holder. Those who do not hold it read from the second byte on: on Windows the first one is locked."""
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        body = os.read(handle, _LONGEST)
    except OSError:
        os.lseek(handle, 1, os.SEEK_SET)
        body = _UNMARKED.encode() + os.read(handle, _LONGEST)
    mark, _, rest = body.decode(errors="replace").partition("\n")
    return mark, rest.partition("\n")[0]
