"""`coldframe venue-change`: changes something at a `coldframe venue` that runs, over a socket of its owner's alone.

It is an endpoint of `trio_io.endpoint`, named after the venue's port: no browser page and no other user can use it. It goes when
the venue ends.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import trio

from coldframe.errors import UsageError, VenueUnavailable
from coldframe.exchange.settings import VenueChange
from coldframe.exchange_server.control import LONGEST_LINE, Ask, ChangeAnswer, answer
from coldframe.trio_io.endpoint import LineTooLong, LocalEndpoint, PeerRefused, listen, names_in, reach
from coldframe.trio_io.paths import state_home

Notice = Callable[[str], None]
Make = Callable[[VenueChange], str | None]
Out = Callable[[object, Sequence[str]], None]

#: How long either side waits for the other, in seconds.
_PATIENCE_S: Final = 10


# -- the venue --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def controlled(port: int, make: Make, notice: Notice) -> AsyncIterator[Path | None]:
    """Takes changes for the venue on `port`; gives the socket, or None when there can be none, which is told."""
    try:
        endpoint = listen(_folder(), str(port))  # the port is ours, so its venue before us has ended
    except OSError as error:
        notice(f"{_folder()}: `coldframe venue-change` will not reach this venue: {error.strerror or error}")
        yield None
        return
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(endpoint.listener))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, partial(_serve, endpoint, make, notice), [listener])
        try:
            yield endpoint.file
        finally:
            nursery.cancel_scope.cancel()
            endpoint.close()


async def _serve(endpoint: LocalEndpoint, make: Make, notice: Notice, stream: trio.SocketStream) -> None:
    """Serves one connection: whatever it brings ends that connection and nothing else."""
    try:
        with trio.move_on_after(_PATIENCE_S):
            await stream.send_all(await _answer(endpoint, stream, partial(_made, make, notice)))
    except PeerRefused as refused:
        notice(f"a connection to {endpoint.file} was refused: {refused}")
    except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the client has gone
    finally:
        await trio.aclose_forcefully(stream)


def _made(make: Make, notice: Notice, change: VenueChange) -> str | None:
    refusal = make(change)
    notice(f"asked for on this machine: {change}: {'done' if refusal is None else f'not done: {refusal}'}")
    return refusal


async def _answer(endpoint: LocalEndpoint, stream: trio.SocketStream, make: Make) -> bytes:
    lines = endpoint.admit(stream.socket, LONGEST_LINE)
    try:
        while part := bytes(await stream.receive_some(LONGEST_LINE)):
            if complete := lines.feed(part):
                return answer(complete[0], make)
    except LineTooLong as error:
        return msgspec.json.encode(ChangeAnswer(False, f"not a change: {error}")) + b"\n"
    return b""


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
    names = [str(port)] if port is not None else names_in(folder)
    alive = {name: there for name in names if (there := reach(folder, name, _PATIENCE_S)) is not None}
    if not alive:
        which = "no `coldframe venue` runs" if port is None else f"no `coldframe venue` runs on port {port}"
        raise VenueUnavailable(f"{which} for this user (looked in {folder})")
    if len(alive) > 1:
        for there in alive.values():
            there.close()
        raise UsageError(f"several venues run, on the ports {', '.join(alive)}: say which with --port")
    return next(iter(alive.values()))


def _asked(there: socket.socket, ask: Ask) -> ChangeAnswer:
    try:
        there.sendall(msgspec.json.encode(ask) + b"\n")
        with there.makefile("rb") as lines:
            return msgspec.json.decode(lines.readline(), type=ChangeAnswer)
    except (OSError, msgspec.MsgspecError) as error:
        raise VenueUnavailable(f"the venue has not answered: {error}") from None


# -- both -------------------------------------------------------------------------------------------------------------


def _folder() -> Path:
    return state_home() / "venues"
