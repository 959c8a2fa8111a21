"""A tiny HTTP server on h11: keeps what it was asked, and answers what it was told."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import attrs
import h11
import trio

from tests.trio_io.peer import Line, listening


@attrs.frozen
class Asked:
    """One request as it came. Header names are lower case."""

    verb: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


@attrs.frozen
class Told:
    """One answer."""

    body: bytes = b"{}"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


Answering = Callable[[Asked], Told]


@attrs.define
class Web:
    """The server: where it is, and what it was asked."""

    port: int = 0
    asked: list[Asked] = attrs.field(factory=list)
    connections: int = 0


@asynccontextmanager
async def serving(answer: Answering = lambda asked: Told(), tls: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    """A server that answers every request with `answer(request)`."""
    web = Web()

    async def script(line: Line) -> None:
        web.connections += 1
        protocol = h11.Connection(h11.SERVER)
        while True:
            asked = await _read(line, protocol)
            web.asked.append(asked)
            told = answer(asked)
            headers = [*told.headers, ("Content-Length", str(len(told.body)))]
            for event in (h11.Response(status_code=told.status, headers=headers), h11.Data(data=told.body), h11.EndOfMessage()):
                await line.send(protocol.send(event) or b"")
            protocol.start_next_cycle()

    async with listening(script, tls) as web.port:
        yield web


async def _read(line: Line, protocol: h11.Connection) -> Asked:
    request: h11.Request | None = None
    body = b""
    while True:
        event = protocol.next_event()
        match event:
            case h11.NEED_DATA:
                protocol.receive_data(bytes(await line.stream.receive_some()))
            case h11.Request():
                request = event
            case h11.Data():
                body += bytes(event.data)
            case h11.EndOfMessage():
                assert request is not None
                headers = {name.decode(): value.decode() for name, value in request.headers}
                return Asked(request.method.decode(), request.target.decode(), headers, body)
            case _:
                raise trio.ClosedResourceError
