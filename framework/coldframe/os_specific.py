"""What only some operating systems have: the one module that names it, so that everything else runs on Windows, macOS and Linux.

Where a system lacks something, what stands here says so (None, False, 0) or does without; nothing in here fails at import. A test
runs a bot with every such name taken away.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

#: Flags for `os.open`: bytes as they are (elsewhere than on Windows they always are), and not to wait for the other end of a pipe.
BINARY: Final[int] = getattr(os, "O_BINARY", 0)
NO_WAIT: Final[int] = getattr(os, "O_NONBLOCK", 0)
#: Whether a file's mode says who may read it; on Windows access lists do, and those of a home folder keep others out.
MODES_TELL: Final[bool] = hasattr(os, "geteuid")
#: The family of sockets that are files; None where there are none.
FILE_SOCKETS: Final[int | None] = getattr(socket, "AF_UNIX", None)

_FOLDER: Final[int | None] = getattr(os, "O_DIRECTORY", None)
_HANG_UP: Final[signal.Signals | None] = getattr(signal, "SIGHUP", None)
#: The signal that halts a run, where a thread can wait for it.
HALT_SIGNAL: Final[signal.Signals | None] = getattr(signal, "SIGUSR1", None) if hasattr(signal, "sigpending") else None
_PEER: Final[int | None] = getattr(socket, "SO_PEERCRED", None)
_CREDENTIALS: Final = struct.Struct("3i")
_ROOT: Final = 0


class HasOptions(Protocol):
    """A socket, Trio's or another."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        """As `socket.socket.getsockopt`."""


# -- files ------------------------------------------------------------------------------------------------------------


def settle_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk, where the system can be asked for that."""
    if _FOLDER is None:
        return
    handle = os.open(folder, os.O_RDONLY | _FOLDER)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# -- signals ----------------------------------------------------------------------------------------------------------


def ending_signals() -> list[signal.Signals]:
    """SIGINT, SIGTERM, and SIGHUP unless the parent process has it ignored (nohup)."""
    heard = [signal.SIGINT, signal.SIGTERM]
    if _HANG_UP is not None and signal.getsignal(_HANG_UP) is not signal.SIG_IGN:
        heard.append(_HANG_UP)
    return heard


@contextmanager
def halt_signal_kept() -> Iterator[None]:
    """Keeps `HALT_SIGNAL` from every thread that begins in here, so that `halt_signal_came` finds it."""
    if HALT_SIGNAL is None:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [HALT_SIGNAL])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def halt_signal_came() -> bool:
    """Whether `HALT_SIGNAL` has come since the last call, while it is kept. Returns at once."""
    # Not by sigtimedwait: after SIGSTOP and SIGCONT it reports a signal that no process has sent.
    if HALT_SIGNAL is None or HALT_SIGNAL not in signal.sigpending():
        return False
    signal.sigwait([HALT_SIGNAL])
    return True


# -- processes and users ----------------------------------------------------------------------------------------------


def after_fork(call: Callable[[], object]) -> None:
    """Has every copy of this process begin with a call, where processes can be copied."""
    register = getattr(os, "register_at_fork", None)
    if register is not None:
        register(after_in_child=call)


def peer_is_owner(connection: HasOptions) -> bool:
    """Whether the other end of a socket file is a process of the same user or the system's, where the system says so.

    Elsewhere True: the folder of the socket keeps others out.
    """
    if _PEER is None or not MODES_TELL:
        return True
    _, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, _PEER, _CREDENTIALS.size))
    return user in (_ROOT, os.geteuid())
