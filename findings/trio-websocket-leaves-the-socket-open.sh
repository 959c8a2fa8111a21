#!/usr/bin/env bash
# trio-websocket 0.12.2 with trio 0.35.0 and wsproto 1.3.2 (PyPI), against a server of our own on the loopback.
#
# A reasonable guess: when `async with open_websocket(...)` is left, or aclose() has returned, the connection's socket is closed,
# whichever side ended the connection.
#
# What happens: it is closed if our side ends the connection. If the peer ends it (its close frame, or the end of its stream), the
# library's task ends, and the socket stays open: leaving the block does not close it and aclose() does nothing any more. It is
# closed only when Python happens to collect the last object that refers to it.
#
# Why it matters for a bot: the venue ends every connection after 24 hours, and many more on a bad day. A bot that keeps the old
# connection for its counters, in a log record or in a traceback, holds a descriptor for each, and in the end can open neither a
# socket nor its own journal.
#
# What to do instead: open the stream yourself (trio.open_tcp_stream, trio.SSLStream), give it to wrap_client_stream, and close it
# in a finally block, with trio.aclose_forcefully if need be.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile trio-websocket==0.12.2 trio==0.35.0 wsproto==1.3.2

timeout 60 venv/bin/python -I - <<'PY'
import os
import sys
from importlib.metadata import version

import trio
from trio_websocket import ConnectionClosed, open_websocket
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Message, Request

ROUNDS = 20


def open_sockets():
    named = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return sum(os.readlink(path).startswith("socket") for path in named if os.path.islink(path))


async def venue(stream, ends_it):
    """Accepts one connection and ends it, or says one word and waits for the other side to end it. Closes its own socket."""
    peer = WSConnection(ConnectionType.SERVER)
    async with stream:
        with trio.move_on_after(5):
            while data := await stream.receive_some():
                peer.receive_data(data)
                for event in peer.events():
                    if isinstance(event, Request):
                        said = CloseConnection(code=1000) if ends_it else Message(data="hello")
                        await stream.send_all(peer.send(AcceptConnection()) + peer.send(said))
                    elif isinstance(event, CloseConnection):
                        if not ends_it:
                            await stream.send_all(peer.send(event.response()))
                        return


async def left_open(ends_it):
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, lambda stream: venue(stream, ends_it), 0)
        port = listeners[0].socket.getsockname()[1]
        before, kept = open_sockets(), []
        for _ in range(ROUNDS):
            try:
                async with open_websocket("127.0.0.1", port, "/", use_ssl=False) as connection:
                    kept.append(connection)
                    await connection.get_message()
            except ConnectionClosed:
                pass
            await connection.aclose()
            # The server's half ends as well, so that only our side's sockets are counted.
            with trio.move_on_after(2):
                while open_sockets() > before + len(kept):
                    await trio.sleep(0.01)
        with trio.move_on_after(1):
            while open_sockets() > before:
                await trio.sleep(0.01)
        count = open_sockets() - before
        nursery.cancel_scope.cancel()
    return count


async def main():
    return {"our side": await left_open(False), "the peer": await left_open(True)}


seen = trio.run(main)
print(*(f"{name} {version(name)}" for name in ("trio-websocket", "trio", "wsproto")), sep=", ")
print(f"expected: no socket is left of {ROUNDS} connections whose block was left and whose aclose() has returned")
for side, count in seen.items():
    print(f"  connections ended by {side}: {count} sockets still open")
if seen != {"our side": 0, "the peer": ROUNDS}:
    print("the behaviour has changed: 0 were open when our side ended them, all when the peer did")
    sys.exit(1)
PY
