"""One script against both carriers of the exchange, its sockets and its virtual venue: the same is heard at the same time."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from decimal import Decimal
from typing import Any

import attrs
import pytest
import trio
from trio.testing import (
    MockClock,
    lockstep_stream_one_way_pair,
    memory_stream_one_way_pair,
    memory_stream_pair,
    wait_all_tasks_blocked,
)

from coldframe.config.venue import VenueFaults
from coldframe.core.connectivity.signing import sign_api
from coldframe.exchange.endpoints.connection_life import LONGEST_MESSAGE, MESSAGE_TOO_LONG
from coldframe.exchange.endpoints.outgoing_frames import MOST_FRAMES, WRITE_MS
from coldframe.exchange_server.links.http_server import HttpServer
from coldframe.model.effects import LinkKind
from coldframe.wire.api import request_frame
from tests.simulation.clients import START_MS, Clients
from tests.simulation.venue import VirtualVenue
from tests.trio_io import peer
from tests.trio_io.peer import frame

#: When each script begins to speak, and how long it listens, in milliseconds.
SPEAKS_MS, ENDS_MS = 120, 5_000
HEAD = (
    "GET {} HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
API, MARKET = "/ws-fapi/v1", "/market/ws"
ORDER = json.dumps({"id": "1", "method": "order.place", "params": {"symbol": "BTCUSDT", "apiKey": "x" * 100}}).encode()
PRICE = b'{"id":"1","method":"ticker.price","params":{"symbol":"BTCUSDT"}}'
LIST = b'{"id":1,"method":"LIST_SUBSCRIPTIONS"}'
#: Stands for a log-on, which each run signs.
LOG_ON = b"log on"
#: Stand for a ping, and for a pong that answers none.
A_PING, A_PONG = b"a ping", b"a pong"
STATUS, LOG_OFF = (b'{"id":"1","method":"session.%s"}' % verb for verb in (b"status", b"logout"))
PLACE = json.dumps(
    {"id": "1", "method": "order.place", "params": {"symbol": "BTCUSDT", "timestamp": START_MS + SPEAKS_MS}}
).encode()
DEPTH = b'{"id":"1","method":"depth","params":{"symbol":"BTCUSDT","limit":1000}}'


@attrs.frozen
class Script:
    """What a client does: opens an address, says frames at once, and answers pings or not. And how the venue is set."""

    target: str
    says: tuple[bytes, ...] = ()
    answers_pings: bool = True
    #: Until when it reads nothing, in milliseconds.
    reads_from_ms: int = 0
    settings: dict[str, Any] = attrs.field(factory=dict)


def hostile(**faults: Any) -> dict[str, Any]:
    return {"faults": VenueFaults(**faults)}


def doubtful(answer: str, **more: Any) -> dict[str, Any]:
    return hostile(orders_doubtful=Decimal(1), doubtful_answers=[answer], doubtful_accepted=Decimal(1), **more)


PINGS = {"ping_interval_s": Decimal("0.5"), "pong_timeout_s": Decimal("1.2")}
PINGED = {"ping_interval_s": Decimal("0.5")}
SHORT = {"link_lifetime_s": Decimal(2)}
NAMES = [json.dumps({"id": at, "method": "SUBSCRIBE", "params": [f"s{at}n{n}@aggTrade" for n in range(200)]}) for at in range(6)]
#: Each script, and what is heard at the end.
SCRIPTS: dict[str, tuple[Script, str]] = {
    "plain": (Script(API, (PRICE,)), "120 200"),
    "lists": (Script(MARKET, (LIST,)), "120 []"),
    "no path": (Script("/nothing"), "0 refused"),
    "no JSON": (Script(API, (b"{",)), "120 400 -1000"),
    "no control": (Script(MARKET, (b"{",)), "120 error 3"),
    "age of the api": (Script(API, settings={"link_lifetime_s": Decimal(2)}), "2000 1001 Connection lifetime is over"),
    "age of a stream": (Script(MARKET, settings={"link_lifetime_s": Decimal(3)}), "3000 1001 Connection lifetime is over"),
    "pings answered": (Script(API, (PRICE,), settings=PINGS), "120 200"),
    "deaf api": (Script(API, answers_pings=False, settings=PINGS), "1700 1008 Pong timeout"),
    "deaf stream": (Script(MARKET, answers_pings=False, settings=PINGS), "1700 1008 Pong timeout"),
    "burst": (Script(MARKET, (LIST,) * 16), "120 1008 Too many requests"),
    "1025 streams": (Script(MARKET, tuple(name.encode() for name in NAMES)), "120 1008 Invalid request"),
    "cut": (Script(API, settings=hostile(api_cut_s=Decimal(1))), "1000 cut"),
    "cut with a close": (Script(API, settings=hostile(api_cut_s=Decimal(1), cut_with_close=True)), "1000 1001 Going away"),
    "market cut": (Script(MARKET, settings=hostile(market_cut_s=Decimal(1))), "1000 cut"),
    "another kind cut": (Script(API, (PRICE,), settings=hostile(market_cut_s=Decimal(1))), "120 200"),
    "outcome open": (Script(API, (ORDER,), settings=doubtful("-1007")), "120 408 -1007"),
    "late answer": (Script(API, (ORDER, PRICE), settings=doubtful("late-answer", late_ms=700)), "820 401 -2015"),
    "late request": (Script(API, (ORDER, PRICE), settings=doubtful("late-request", late_ms=700)), "820 401 -2015"),
    "silence": (Script(API, (ORDER, PRICE), settings=doubtful("silence")), "120 200"),
    "cut instead": (Script(API, (ORDER,), settings=doubtful("cut")), "120 cut"),
    "latency": (Script(API, (PRICE,), settings=hostile(latency_ms=250)), "370 200"),
    "blocked": (Script(API, (PRICE, PRICE), settings=hostile(blocked_after_requests=2, blocked_for_s=60)), "120 429 -1003"),
    "logged on": (Script(API, (LOG_ON, STATUS, PLACE)), "120 400 -1102"),
    "not logged on": (Script(API, (STATUS, PLACE)), "120 400 -1102"),
    "logged off": (Script(API, (LOG_ON, LOG_OFF, PLACE)), "120 400 -1102"),
    "5 pings": (Script(API, (A_PING,) * 5 + (PRICE,)), "120 200"),
    "6 pings": (Script(API, (A_PING,) * 6 + (PRICE,)), "120 1008 Too many requests"),
    "5 pongs": (Script(API, (A_PONG,) * 5 + (PRICE,)), "120 200"),
    "6 pongs": (Script(API, (A_PONG,) * 6 + (PRICE,)), "120 1008 Too many requests"),
    "3 pings, 3 pongs": (Script(API, (A_PING, A_PONG) * 3 + (PRICE,)), "120 1008 Too many requests"),
    "5 pings among requests": (Script(API, (PRICE, A_PING) * 5 + (PRICE,)), "120 200"),
    "5 pings, and pongs owed": (Script(API, (A_PING,) * 5, settings={"ping_interval_s": Decimal("0.1")}), ""),
    "14 pings of a listener": (Script(MARKET, (A_PING,) * 14 + (LIST,)), "120 []"),
    "15 pings of a listener": (Script(MARKET, (A_PING,) * 15 + (LIST,)), "120 1008 Too many requests"),
    "pongs of a listener": (Script(MARKET, (LIST,) + (A_PONG,) * 15), "120 1008 Too many requests"),
    "reads late": (Script(API, (PRICE,) * 3, reads_from_ms=4_000), "4000 200"),
    "reads in time": (Script(API, (PRICE,) * 3, reads_from_ms=SPEAKS_MS + WRITE_MS - 1), "15119 200"),
    "reads too late": (Script(API, (PRICE,) * 3, reads_from_ms=SPEAKS_MS + WRITE_MS + 1), "15121 cut"),
    "too many unread": (Script(API, (b"{",) * (MOST_FRAMES + 2), reads_from_ms=4_000), "4000 1008 Too slow"),
    "as many unread as may be": (Script(API, (b"{",) * (MOST_FRAMES + 1), reads_from_ms=4_000), "4000 400 -1000"),
    "too many never read": (Script(API, (b"{",) * (MOST_FRAMES + 2), reads_from_ms=16_000), "16000 cut"),
    "a close read late": (
        Script(API, reads_from_ms=3_900, settings=SHORT),
        "3900 1001 Connection lifetime is over",
    ),
    "a close not read": (Script(API, reads_from_ms=4_100, settings=SHORT), "4100 cut"),
    "a ping read late": (Script(API, reads_from_ms=500 + WRITE_MS - 1, settings=PINGED), ""),
    "a ping not read": (Script(API, reads_from_ms=500 + WRITE_MS + 1, settings=PINGED), "15501 cut"),
    "a ping behind a frame": (Script(API, (PRICE,), reads_from_ms=SPEAKS_MS + WRITE_MS - 1, settings=PINGED), "15119 200"),
    "a close behind a frame": (
        Script(API, (PRICE,) * 2, reads_from_ms=4_100, settings=SHORT),
        "4100 1001 Connection lifetime is over",
    ),
    "too much weight": (Script(API, (DEPTH,) * 130), "120 429 -1003"),
    "the longest message": (Script(MARKET, (b"{" + b" " * (LONGEST_MESSAGE - 1),)), "120 error 3"),
    "a longer message": (Script(MARKET, (b"{" + b" " * LONGEST_MESSAGE, LIST)), f"120 {MESSAGE_TOO_LONG}"),
    "a longer request": (Script(API, ("é".encode() * (LONGEST_MESSAGE // 2) + b"{", PRICE)), f"120 {MESSAGE_TOO_LONG}"),
}
#: Requests whose frames have heads of each size; the fault cuts the connection within the frame, behind it, and within the next.
SIZES = [PRICE, PRICE.ljust(125), PRICE.ljust(126), ORDER, PRICE.ljust(65_535), PRICE.ljust(65_536)]
SCRIPTS |= {
    f"cut at {len(request)}{beyond:+}": (
        Script(API, (request, request), settings=hostile(api_cut_after_bytes=len(frame(peer.TEXT, request, masked=True)) + beyond)),
        "120 cut",
    )
    for request in SIZES
    for beyond in (-1, 0, 1)
}


def shown(body: Any) -> str:
    """A frame of the exchange, without what differs from run to run."""
    if "status" in body:
        return f"{body['status']} {body['error']['code']}" if "error" in body else str(body["status"])
    return f"error {body['error']['code']}" if "error" in body else str(body["result"])


def frames(script: Script, venue: VirtualVenue) -> list[bytes]:
    """What the client says, signed."""
    log_on = sign_api({}, venue.signer(), START_MS + SPEAKS_MS, 5_000)
    return [request_frame(1, "session.logon", log_on) if said is LOG_ON else said for said in script.says]


def say(venue: VirtualVenue, kind: LinkKind, link: str, said: bytes) -> None:
    """The client says a frame on virtual time."""
    if said in (A_PING, A_PONG):
        (venue.ping if said is A_PING else venue.pong)(link, b"?")
    else:
        (venue.request if kind is LinkKind.API else venue.control)(link, said)


def on_virtual_time(script: Script) -> list[str]:
    clients = Clients(**script.settings)
    venue, kind = clients.venue, LinkKind.API if script.target == API else LinkKind.MARKET
    if not script.answers_pings:
        venue.deaf.add(kind)
    line = clients.connect(kind, script.target)
    if line is None:
        return ["0 refused"]
    socket = venue.sockets[line.link] if script.reads_from_ms else None
    if socket is not None:
        venue.stop_reading(socket.link)
    clients.run(SPEAKS_MS)
    for said in frames(script, venue):
        say(venue, kind, line.link, said)
    if socket is not None and script.reads_from_ms:
        clients.run(script.reads_from_ms - SPEAKS_MS)
        venue.read_again(socket)
    while clients.now_ms < START_MS + max(ENDS_MS, script.reads_from_ms + 1):
        if line.gone is not None:
            end = line.gone.partition("closed by the exchange: ")[2] or "cut"
            return [*(f"{at_ms} {shown(body)}" for at_ms, body in line.heard), f"{clients.now_ms - START_MS} {end}"]
        clients.run(1)
    return [f"{at_ms} {shown(body)}" for at_ms, body in line.heard]


class SocketClient:
    """A client of the exchange server over a stream in memory, on virtual time, which reads frames by hand."""

    def __init__(self, stream: trio.abc.Stream, script: Script, says: list[bytes]) -> None:
        self._stream, self._script, self._says = stream, script, says
        self._data = bytearray()
        self.trace: list[str] = []

    async def run(self, nursery: trio.Nursery) -> None:
        await self._stream.send_all(HEAD.format(self._script.target).encode())
        head = bytes(await self._until(lambda: self._data.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in self._data else 0))
        if not head.startswith(b"HTTP/1.1 101"):
            self._note("refused")
            return
        nursery.start_soon(self._speak)
        await trio.sleep_until(self._script.reads_from_ms / 1000)
        try:
            while await self._take_frame():
                pass
        except (trio.BrokenResourceError, EOFError):
            self._note("cut")

    async def _speak(self) -> None:
        await trio.sleep(SPEAKS_MS / 1000)
        with suppress(trio.BrokenResourceError):
            for said in self._says:
                opcode = {A_PING: peer.PING, A_PONG: peer.PONG}.get(said, peer.TEXT)
                await self._stream.send_all(frame(opcode, said if opcode == peer.TEXT else b"?", masked=True))
                if len(self._says) < MOST_FRAMES:
                    await wait_all_tasks_blocked()

    async def _take_frame(self) -> bool:
        """Reads one frame. Whether the connection goes on."""
        opcode, short = await self._read(2)
        size = struct.unpack("!H", await self._read(2))[0] if short == 126 else short
        payload = await self._read(size)
        match opcode & 0xF:
            case peer.PING if self._script.answers_pings:
                await self._stream.send_all(frame(peer.PONG, payload, masked=True))
            case peer.TEXT:
                self._note(shown(json.loads(payload)))
            case peer.CLOSE:
                self._note(f"{struct.unpack('!H', payload[:2])[0]} {payload[2:].decode()}")
                await self._stream.send_all(frame(peer.CLOSE, payload[:2], masked=True))
                return False
            case _:
                pass
        return True

    async def _read(self, size: int) -> bytes:
        return await self._until(lambda: size if len(self._data) >= size else 0) if size else b""

    async def _until(self, ready: Any) -> bytes:
        while not (size := ready()):
            data = await self._stream.receive_some()
            if not data:
                raise EOFError
            self._data += data
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken

    def _note(self, text: str) -> None:
        self.trace.append(f"{round(trio.current_time() * 1000)} {text}")


def stream_pair(*, reads_late: bool) -> tuple[trio.abc.Stream, trio.abc.Stream]:
    """A client's stream and the server's. What the server writes to a client that reads late waits until it is read."""
    if not reads_late:
        return memory_stream_pair()
    heard_from, hears = memory_stream_one_way_pair()
    writes, read = lockstep_stream_one_way_pair()
    return trio.StapledStream(heard_from, read), trio.StapledStream(writes, hears)


async def on_sockets(script: Script) -> list[str]:
    """What is heard from the exchange server, whose clock is on virtual time."""
    venue = Clients(**script.settings).venue
    context = venue.context
    context.now_ms = lambda: START_MS + round(trio.current_time() * 1000)
    server = HttpServer(context)
    here, there = stream_pair(reads_late=script.reads_from_ms > 0)
    client = SocketClient(here, script, frames(script, venue))

    async def turn() -> None:
        while True:
            await trio.sleep(0.05)
            context.turn()

    with trio.move_on_at(max(ENDS_MS, script.reads_from_ms + 1) / 1000):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turn)
            nursery.start_soon(server.serve, there, "127.0.0.1")
            await client.run(nursery)
            nursery.cancel_scope.cancel()
    return client.trace


@pytest.mark.parametrize("name", SCRIPTS)
async def test_both_carriers_do_the_same(name: str, autojump_clock: MockClock) -> None:
    script, end = SCRIPTS[name]
    virtual, real = on_virtual_time(script), await on_sockets(script)
    assert virtual == real
    assert (virtual or [""])[-1] == end
