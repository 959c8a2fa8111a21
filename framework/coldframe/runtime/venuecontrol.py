"""`coldframe venue-change`: changes something at a `coldframe venue` that runs, over a socket of its owner's alone.

The socket is a file in a folder that only its owner may enter, not a port: no browser page and no other user can reach it. It is
named after the venue's port, and goes when the venue ends.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import trio

from coldframe.config.venue import VenueChange
from coldframe.errors import UsageError, VenueUnavailable
from coldframe.exchange_server.control import LONGEST_LINE, Ask, Told, answer
from coldframe.trio_io.paths import private_folder, state_home

Notice = Callable[[str], None]
Make = Callable[[VenueChange], str | None]
Out = Callable[[object, Sequence[str]], None]

#: How long either side waits for the other, in seconds.
_PATIENCE_S: Final = 10
_BACKLOG: Final = 8
#: The longest path of a socket that every system takes, in bytes.
_LONGEST_PATH: Final = 100
_CREDENTIALS: Final = struct.Struct("3i")


# -- the venue --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def controlled(port: int, make: Make, notice: Notice) -> AsyncIterator[Path | None]:
    """Takes changes for the venue on `port`; gives the socket, or None when there can be none, which is told."""
    path = _folder() / f"{port}.sock"
    try:
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(_listening(path)))
    except OSError as error:
        notice(f"{path}: `coldframe venue-change` will not reach this venue: {error.strerror or error}")
        yield None
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, partial(_serve, make, notice), [listener])
        try:
            yield path
        finally:
            nursery.cancel_scope.cancel()
            path.unlink(missing_ok=True)


def _listening(path: Path) -> socket.socket:
    private_folder(path.parent)
    path.parent.chmod(0o700)
    path.unlink(missing_ok=True)  # the port is ours, so its venue before us has ended
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(path) as address:
            listening.bind(address)
        path.chmod(0o600)
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


async def _serve(make: Make, notice: Notice, stream: trio.SocketStream) -> None:
    """Serves one connection: whatever it brings ends that connection and nothing else."""
    try:
        with trio.move_on_after(_PATIENCE_S):
            if _is_owner(stream):
                await stream.send_all(answer(await _line(stream), partial(_made, make, notice)))
    except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the client has gone
    finally:
        await trio.aclose_forcefully(stream)


def _made(make: Make, notice: Notice, change: VenueChange) -> str | None:
    refusal = make(change)
    notice(f"asked for on this machine: {change}: {'done' if refusal is None else f'not done: {refusal}'}")
    return refusal


def _is_owner(stream: trio.SocketStream) -> bool:
    """Whether the other end is a process of the same user, where the system says so; the folder keeps the others out."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    _, user, _ = _CREDENTIALS.unpack(stream.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return user in (0, os.geteuid())


async def _line(stream: trio.SocketStream) -> bytes:
    read = b""
    while b"\n" not in read and len(read) <= LONGEST_LINE:
        part = bytes(await stream.receive_some(LONGEST_LINE))
        if not part:
            break
        read += part
    return read.partition(b"\n")[0][:LONGEST_LINE]


# -- the verb ---------------------------------------------------------------------------------------------------------


def change(ask: Ask, port: int | None, out: Out) -> int:
    """`coldframe venue-change`. Raises `UsageError` for what the venue refuses, `VenueUnavailable` when none runs."""
    try:
        wanted = ask.change()
    except ValueError as error:
        raise UsageError(str(error)) from None
    with closing(_connect(port)) as there:
        told = _asked(there, ask)
    if not told.done:
        raise UsageError(f"{wanted}: not done: {told.text}")
    document = {"schema_version": 1, "verb": "venue-change", **msgspec.to_builtins(ask), "done": True}
    out(document, [f"{wanted}: done"])
    return 0


def _connect(port: int | None) -> socket.socket:
    """A connection to the venue on a port, or to the only one that runs."""
    folder = _folder()
    paths = [folder / f"{port}.sock"] if port is not None else sorted(folder.glob("*.sock"))
    alive = {path: there for path in paths if (there := _reached(path)) is not None}
    if not alive:
        which = "no `coldframe venue` runs" if port is None else f"no `coldframe venue` runs on port {port}"
        raise VenueUnavailable(f"{which} for this user (looked in {folder})")
    if len(alive) > 1:
        for there in alive.values():
            there.close()
        ports = ", ".join(path.stem for path in alive)
        raise UsageError(f"several venues run, on the ports {ports}: say which with --port")
    return next(iter(alive.values()))


def _reached(path: Path) -> socket.socket | None:
    there = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    there.settimeout(_PATIENCE_S)
    try:
        with _address(path) as address:
            there.connect(address)
    except OSError:  # its venue was killed, or there was none
        there.close()
        return None
    return there


def _asked(there: socket.socket, ask: Ask) -> Told:
    try:
        there.sendall(msgspec.json.encode(ask) + b"\n")
        with there.makefile("rb") as lines:
            return msgspec.json.decode(lines.readline(), type=Told)
    except (OSError, msgspec.MsgspecError) as error:
        raise VenueUnavailable(f"the venue has not answered: {error}") from None


# -- both -------------------------------------------------------------------------------------------------------------


def _folder() -> Path:
    return state_home() / "venues"


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """What a socket is bound or connected to: its path, or if that is too long for one the same by way of its folder."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
