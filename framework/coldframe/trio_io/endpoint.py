"""Where a process can be spoken to by its owner on this machine: a socket file, or a loopback port with a token.

An endpoint is a name in a private folder. Where the system has socket files and the path is short enough for one, it is `NAME.sock`
(0600), and the system says who the other end is. Elsewhere `NAME.port` (0600) tells the port and a token, and the first line of
each connection has to be that token. Neither file is deleted by a process that is killed: who takes a name again replaces them.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress
from hmac import compare_digest
from pathlib import Path
from typing import Annotated, Final

import attrs
import msgspec

from coldframe.errors import DecodeError
from coldframe.localfiles import read_file
from coldframe.os_specific import FILE_SOCKETS, HasOptions, peer_is_owner
from coldframe.trio_io.clock import monotonic_s, wait_s
from coldframe.trio_io.paths import private_folder
from coldframe.wire.strict import read_as

#: The longest path of a socket file that every system takes, in bytes.
LONGEST_PATH: Final = 100
_BACKLOG: Final = 64
#: How long a caller waits before it knocks again where so many others wait to be let in.
_KNOCK_AGAIN_S: Final = 0.01
_LOOPBACK: Final = "127.0.0.1"
_PRIVATE: Final = 0o600
_SOCKET: Final = ".sock"
_PORT: Final = ".port"


class _Port(msgspec.Struct):
    """What stands in a `.port` file."""

    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    token: str


class PeerRefused(Exception):
    """A connection that is ended without an answer: it is not the owner's."""


class LineTooLong(Exception):
    """A connection that sends more than a line may have."""


@attrs.frozen
class LocalEndpoint:
    """An endpoint that this process listens at. `token` is what a connection begins with; empty for a socket file."""

    listener: socket.socket
    file: Path
    token: bytes

    def admit(self, connection: HasOptions, longest: int) -> RequestLines:
        """The lines of a connection that was accepted here. Raises `PeerRefused` when it is another user's."""
        if not self.token and not peer_is_owner(connection):
            raise PeerRefused("it is another user's")
        return RequestLines(self.token, longest)

    def close(self) -> None:
        """Listens no more, and takes the file away."""
        self.listener.close()
        with suppress(OSError):
            self.file.unlink()


class RequestLines:
    """The bytes of one connection as lines, each bounded, after the token where there is one."""

    def __init__(self, token: bytes, longest: int) -> None:
        self._token = token
        self._longest = longest
        self._rest = b""

    def feed(self, part: bytes) -> list[bytes]:
        """The lines that are complete now, without their ends. Raises `PeerRefused` or `LineTooLong`."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        if len(self._rest) > self._longest or any(len(line) > self._longest for line in lines):
            raise LineTooLong(f"a line of it is longer than {self._longest} bytes")
        if self._token and lines:
            if not compare_digest(lines.pop(0), self._token):
                raise PeerRefused("its first line is not the token")
            self._token = b""
        return lines


def listen(folder: Path, name: str, *, family: int | None = FILE_SOCKETS, longest_path: int = LONGEST_PATH) -> LocalEndpoint:
    """Listens at an endpoint; the caller makes sure that no other process does. Raises `OSError`.

    `family` is that of socket files, None for a loopback port; so is a path of more than `longest_path` bytes.
    """
    private_folder(folder)
    folder.chmod(0o700)
    for ending in (_SOCKET, _PORT):  # left by a process that was killed
        (folder / f"{name}{ending}").unlink(missing_ok=True)
    path = folder / f"{name}{_SOCKET}"
    if family is not None and len(os.fsencode(path)) <= longest_path:
        return _listen_at_file(path, family)
    return _listen_at_port(folder / f"{name}{_PORT}")


def reach(folder: Path, name: str, patience_s: float) -> socket.socket | None:
    """A connection to an endpoint; None when no process listens there. Neither side waits longer than `patience_s` for bytes."""
    path = folder / f"{name}{_SOCKET}"
    with suppress(OSError, DecodeError):
        if FILE_SOCKETS is not None and path.exists():
            return _connected(FILE_SOCKETS, str(path), b"", patience_s)
        told = read_as(_Port, read_file(folder / f"{name}{_PORT}"))
        return _connected(socket.AF_INET, (_LOOPBACK, told.port), told.token.encode() + b"\n", patience_s)
    return None


def names_in(folder: Path) -> Iterator[str]:
    """The names of the endpoints of a folder, in order, also those of processes that were killed."""
    yield from sorted({path.stem for ending in (_SOCKET, _PORT) for path in folder.glob(f"*{ending}")})


def _listen_at_file(path: Path, family: int) -> LocalEndpoint:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(_PRIVATE)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return LocalEndpoint(listener, path, b"")


def _listen_at_port(path: Path) -> LocalEndpoint:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind((_LOOPBACK, 0))
        listener.listen(_BACKLOG)
        told = _Port(listener.getsockname()[1], secrets.token_hex(32))
        spare = path.with_suffix(f".{os.getpid()}")
        spare.unlink(missing_ok=True)
        with os.fdopen(os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "wb") as file:
            file.write(msgspec.json.encode(told))
        spare.replace(path)
    except BaseException:
        listener.close()
        raise
    return LocalEndpoint(listener, path, told.token.encode())


def _connected(family: int, address: str | tuple[str, int], greeting: bytes, patience_s: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(patience_s)
        _connect(connection, address, monotonic_s() + patience_s)
        if greeting:
            connection.sendall(greeting)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(connection: socket.socket, address: str | tuple[str, int], until_s: float) -> None:
    """A socket file whose listener is busy refuses at once instead of waiting: it is asked again."""
    while True:
        try:
            connection.connect(address)
        except BlockingIOError:
            if monotonic_s() >= until_s:
                raise
            wait_s(_KNOCK_AGAIN_S)
        else:
            return
