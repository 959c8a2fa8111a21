"""Which runs heed a halt file: each holds a lock of its own and is asked over an endpoint of its own, side by side in one folder.

The lock says that the run lives and who it is. A run that was killed holds it no more; the next run takes away what it left.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

from coldframe.filelocks import FileLock, LockTaken, holder_of
from coldframe.os_specific import FILE_SOCKETS
from coldframe.trio_io.endpoint import LocalEndpoint, listen
from coldframe.trio_io.paths import private_folder

_LOCK: Final = ".lock"


class RunFolder:
    """The runs that heed one halt file. `family` is that of socket files; None has runs listen at loopback ports."""

    def __init__(self, folder: Path, family: int | None = FILE_SOCKETS) -> None:
        self.folder = folder
        self._family = family

    @contextmanager
    def entered(self, holder: str) -> Iterator[LocalEndpoint]:
        """A place for this run among them, for as long as this lasts; `holder` says who it is. Raises `OSError`."""
        private_folder(self.folder)
        self._clear()
        lock = self._lock(holder)
        try:
            endpoint = listen(self.folder, lock.path.stem, family=self._family)
            try:
                yield endpoint
            finally:
                endpoint.close()
        finally:
            lock.release(remove=True)

    def alive(self) -> dict[str, str]:
        """The runs that live, by the names of their endpoints, each with who it is."""
        found = {path.stem: holder_of(path) for path in sorted(self.folder.glob(f"*{_LOCK}"))}
        return {name: holder for name, holder in found.items() if holder is not None}

    def _lock(self, holder: str) -> FileLock:
        """A lock that no other run has: this process may have several runs, and had another owner of its number before."""
        for number in count():
            with suppress(LockTaken):
                return FileLock(self.folder / f"{os.getpid()}-{number}{_LOCK}", holder)
        raise AssertionError

    def _clear(self) -> None:
        """Takes away what runs that were killed have left."""
        for path in self.folder.glob(f"*{_LOCK}"):
            with suppress(LockTaken, OSError):
                left = FileLock(path)
                for ending in (".sock", ".port"):
                    path.with_suffix(ending).unlink(missing_ok=True)
                left.release(remove=True)
