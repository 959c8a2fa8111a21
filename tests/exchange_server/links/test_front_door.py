"""The front door against whatever a connection may bring: it ends that connection, in time, and the next one is served."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair
from trio_websocket import ConnectionClosed

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.config.venue import VenueFaults
from coldframe.exchange.endpoints.connection_life import LONGEST_MESSAGE
from coldframe.exchange.endpoints.outgoing_frames import WRITE_MS
from coldframe.exchange.endpoints.rest import Rest as Calls
from coldframe.exchange.endpoints.rest_patience import IDLE_MS, REQUEST_MS
from coldframe.exchange.request_handling import ApiRequests
from coldframe.exchange_server import EmbeddedVenue
from coldframe.wire.api import ApiRequest
from tests.exchange_server.links.cable import Rest, api, running, stream
from tests.trio_io.peer import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame

NOW_MS = 1_700_000_000_000
PING_REST = b"GET /fapi/v1/ping HTTP/1.1\r\nhost: localhost\r\n%s\r\n"
UPGRADE = (
    b"GET %s HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
STREAMS, API = b"/market/ws", b"/ws-fapi/v1"


class FrontDoor:
    """A venue without a listener: connections are streams in memory."""

    def __init__(self, **settings: Any) -> None:
        self.notices: list[str] = []
        self.venue = EmbeddedVenue(
            Settings(**({"symbols": ["BTCUSDT"]} | settings)), wall_ms=lambda: NOW_MS, notice=self.notices.append
        )

    async def said(self, *parts: bytes, end: bool = True) -> bytes:
        """What comes back on one connection that says these parts, to its end."""
        client, server = memory_stream_pair()
        said = bytearray()

        async def listen() -> None:
            with suppress(trio.BrokenResourceError):
                async for data in client:
                    said.extend(data)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.venue.serve_connection, server, "127.0.0.1")
            nursery.start_soon(listen)
            for part in parts:
                with suppress(trio.BrokenResourceError):
                    await client.send_all(part)
                await trio.testing.wait_all_tasks_blocked()
            if end:
                with suppress(trio.BrokenResourceError):
                    await client.send_eof()
        return bytes(said)

    async def serves(self) -> bool:
        return (await self.said(PING_REST % b"connection: close\r\n")).endswith(b"\r\n\r\n{}")


def masked(data: bytes) -> bytes:
    """A frame of a server as a client has to send it."""
    first, length = data[0], data[1]
    extra = 2 if length == 126 else 8 if length == 127 else 0
    return bytes((first, length | 0x80)) + data[2 : 2 + extra] + bytes(4) + data[2 + extra :]


def close_of(said: bytes) -> int | None:
    """The code of the close frame behind a handshake; None when there is none."""
    body = said.partition(b"\r\n\r\n")[2]
    while body:
        length = body[1]
        extra = {126: 2, 127: 8}.get(length, 0)
        if extra:
            length = int.from_bytes(body[2 : 2 + extra], "big")
        payload, kind = body[2 + extra : 2 + extra + length], body[0] & 0x0F
        if kind == CLOSE:
            assert body[2 + extra + length :] == b"", "something follows a close"
            return int(struct.unpack("!H", payload[:2])[0])
        body = body[2 + extra + length :]
    return None


# -- what a connection may begin with -----------------------------------------------------------------------------------

MALFORMED_HEADERS = [
    b"host: \xb1\xb2\xff\r\n",
    b"host: local\x80host\r\n",
    b"origin: \xff\r\n",
    b"sec-websocket-key: \xff\xff\r\n",
    b"sec-websocket-key: AAAA\r\n",
    b"sec-websocket-key: !!!!!!!!!!!!!!!!!!!!!!==\r\n",
    b"sec-websocket-version: 12\r\n",
    b"sec-websocket-version: \xb2\r\n",
    b"sec-websocket-protocol: \xe9\r\n",
    b"sec-websocket-extensions: permessage-deflate; server_max_window_bits=\xb2\r\n",
    b"sec-websocket-extensions: ;;;=\r\n",
    b"connection: \xff\r\n",
    b"cookie: \x80\r\n",
    b"x: " + b"y" * 20_000 + b"\r\n",
    b"\xff: x\r\n",
    b"upgrade: websocket, h2c\r\n",
    b"expect: 100-continue\r\ncontent-length: 3\r\n",
]


@pytest.mark.parametrize("path", [STREAMS, API, b"/fapi/v1/ping"])
@pytest.mark.parametrize("header", MALFORMED_HEADERS, ids=lambda header: ascii(header[:40]))
async def test_w25_a_malformed_header_ends_its_connection_only(header: bytes, path: bytes, autojump_clock: MockClock) -> None:
    front_door = FrontDoor()
    name = header.partition(b":")[0] + b":"
    lines = [line for line in (UPGRADE % path).split(b"\r\n")[:-2] if not line.lower().startswith(name)]
    for kept in (lines, [line for line in lines if not line.startswith(b"upgrade")]):
        said = await front_door.said(b"\r\n".join(kept) + b"\r\n" + header + b"\r\n")
        assert said.startswith(b"HTTP/1.1 "), said
        assert await front_door.serves()
    assert front_door.notices == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"HTTP/1.1", b"HTTP/1.0"), b"400"),
        ((b"connection: upgrade", b"connection: keep-alive"), b"400"),
        ((b"version: 13", b"version: 8"), b"426"),
        ((b"AAAAAAAAAAAAAAAAAAAAAA==", b"AAAA"), b"400"),
        ((b"/market/ws", b"/nothing"), b"404"),
        ((b"/market/ws", b"//["), b"404"),
        ((b"host: localhost", b"host: evil.example"), b"403"),
        ((b"host: localhost", b"host: localhost\r\norigin: http://evil.example"), b"403"),
        ((b"host: localhost", b"host: localhost\r\nhost: localhost"), b"400"),
        ((b"", b""), b"101"),
    ],
    ids=lambda value: ascii(value)[:50],
)
async def test_a_handshake_that_is_none_is_told_so(change: tuple[bytes, bytes], status: bytes, autojump_clock: MockClock) -> None:
    front_door = FrontDoor()
    said = await front_door.said((UPGRADE % STREAMS).replace(*change))
    assert said.split()[1] == status
    assert (b"sec-websocket-version: 13" in said) is (status == b"426")


@pytest.mark.parametrize("target", [b"/fapi/v1/order", b"/ws-fapi/v1", b"/private/ws/key"])
async def test_a_page_reaches_nothing_and_is_told_in_json(target: bytes) -> None:
    async with running() as (_, address), Rest(address) as rest:
        stream_ = await trio.open_tcp_stream("127.0.0.1", address.port)
        with trio.fail_after(5):
            await stream_.send_all((UPGRADE % target).replace(b"host:", b"origin: http://evil.example\r\nhost:"))
            said = b"".join([part async for part in stream_])
        await stream_.aclose()
        assert said.startswith(b"HTTP/1.1 403 ")
        assert b"content-type: application/json" in said
        assert said.endswith(b"this venue serves no page of a browser, and Origin 'http://evil.example' is one\"}")
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = await rest._client.request("POST", f"/fapi/v1/order?{rest.sign({'symbol': 'BTCUSDT'})}", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, -1002)
            assert "access-control-allow-origin" not in answer.headers
        assert await rest.get("/fapi/v1/ping") == {}


# -- the fence ----------------------------------------------------------------------------------------------------------


async def test_w25_a_bug_ends_one_connection_and_is_logged_once(monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock) -> None:
    front_door = FrontDoor()
    original = Calls.answer

    def broken(calls: Calls, request: Any, now_ms: int) -> Any:
        if b"evil" in request.query:
            raise RuntimeError("a bug\nin two lines \x1b[2J")
        return original(calls, request, now_ms)

    monkeypatch.setattr(Calls, "answer", broken)
    for number in range(1, 4):
        assert await front_door.said(b"GET /fapi/v1/ping?evil HTTP/1.1\r\nhost: localhost\r\n\r\n") == b""
        assert await front_door.serves()
        assert len(front_door.notices) == number
    (notice,) = set(front_door.notices)
    assert notice.isprintable()
    assert "RuntimeError" in notice
    assert "test_front_door.py:" in notice


async def test_a_bug_in_a_link_ends_that_link_only(monkeypatch: pytest.MonkeyPatch) -> None:
    original = ApiRequests.perform

    def broken(requests: ApiRequests, asked: ApiRequest | None, frame: bytes) -> bytes:
        if b"evil" in frame:
            raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])
        return original(requests, asked, frame)

    monkeypatch.setattr(ApiRequests, "perform", broken)
    async with running() as (_, address), api(address) as other, api(address) as line:
        await other.log_on()
        await line.socket.send_message('{"id":1,"method":"evil"}')
        with trio.fail_after(5), pytest.raises(ConnectionClosed):
            await line.socket.get_message()
        assert (await other.ask("session.status"))["status"] == 200
        async with api(address) as fresh:
            assert (await fresh.log_on())["status"] == 200


# -- time and room --------------------------------------------------------------------------------------------------------


def dripping(text: bytes, pause_s: float) -> Callable[[trio.abc.Stream], Awaitable[None]]:
    """A visitor that sends a text byte by byte, on virtual time."""

    async def drip(client: trio.abc.Stream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            for at in range(len(text)):
                await client.send_all(text[at : at + 1])
                await trio.sleep(pause_s)
            await trio.sleep_forever()

    return drip


SLOW = {
    "silent": dripping(b"", 0),
    "slow head": dripping(PING_REST % (b"x: " + b"y" * 500 + b"\r\n"), 1),
    "no end of the head": dripping(b"GET / HTTP/1.1\r\n", 0),
    "slow body": dripping(b"POST /fapi/v1/order HTTP/1.1\r\nhost: localhost\r\ncontent-length: 500\r\n\r\n" + b"x" * 500, 1),
    "no body": dripping(b"POST /fapi/v1/order HTTP/1.1\r\nhost: localhost\r\ncontent-length: 500\r\n\r\n", 0),
    "slow second request": dripping(PING_REST % b"" + b"G" * 500, 1),
}


@pytest.mark.parametrize("case", SLOW)
async def test_a_slow_client_is_let_go_in_time(case: str, autojump_clock: MockClock) -> None:
    front_door = FrontDoor()
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(SLOW[case], client)
        began = trio.current_time()
        await front_door.venue.serve_connection(server, "127.0.0.1")
        took = trio.current_time() - began
        nursery.cancel_scope.cancel()
    assert took <= (2 * REQUEST_MS / 1000 if case != "slow second request" else 100) + 2
    assert await front_door.serves()


async def test_latency_holds_up_every_request_of_a_connection(autojump_clock: MockClock) -> None:
    front_door = FrontDoor(faults=VenueFaults(latency_ms=150))
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(front_door.venue.serve_connection, server, "127.0.0.1")
        for number in range(1, 4):
            await client.send_all(PING_REST % b"")
            assert (await client.receive_some()).endswith(b"{}")
            assert trio.current_time() == pytest.approx(0.15 * number)
        nursery.cancel_scope.cancel()


async def test_an_idle_connection_is_kept_for_a_while_and_let_go(autojump_clock: MockClock) -> None:
    front_door = FrontDoor()
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(front_door.venue.serve_connection, server)
        for _ in range(3):
            await client.send_all(PING_REST % b"")
            assert (await client.receive_some()).endswith(b"{}")
            await trio.sleep(IDLE_MS / 1000 - 5)
        began = trio.current_time()
        assert await client.receive_some() == b""
        assert trio.current_time() - began <= 10


@pytest.mark.parametrize("head", [PING_REST % b"", UPGRADE % STREAMS, UPGRADE % API, b"nonsense\r\n\r\n"])
async def test_a_client_that_does_not_read_is_let_go_in_time(head: bytes, autojump_clock: MockClock) -> None:
    front_door = FrontDoor()
    client, server = lockstep_stream_pair()
    async with trio.open_nursery() as nursery:

        async def say() -> None:
            with suppress(trio.BrokenResourceError):
                await client.send_all(head)

        nursery.start_soon(say)
        began = trio.current_time()
        await front_door.venue.serve_connection(server)
        assert trio.current_time() - began <= WRITE_MS / 1000 + 12
        nursery.cancel_scope.cancel()
    assert front_door.notices == []


async def test_an_address_has_so_many_connections_and_no_more(autojump_clock: MockClock) -> None:
    front_door = FrontDoor(max_connections=3)
    async with trio.open_nursery() as nursery:
        clients = []
        for _ in range(5):
            client, server = memory_stream_pair()
            nursery.start_soon(front_door.venue.serve_connection, server, "127.0.0.1")
            await trio.testing.wait_all_tasks_blocked()
            clients.append(client)
        for client in clients[:3]:
            await client.send_all(PING_REST % b"")
            assert (await client.receive_some()).endswith(b"{}")
        for client in clients[3:]:
            assert await client.receive_some() == b""
        assert len(front_door.notices) == 1
        assert "127.0.0.1 has 3 connections open" in front_door.notices[0]
        assert "venue.embedded.max_connections" in front_door.notices[0]
        elsewhere, server = memory_stream_pair()
        nursery.start_soon(front_door.venue.serve_connection, server, "127.0.0.2")
        await elsewhere.send_all(PING_REST % b"")
        assert (await elsewhere.receive_some()).endswith(b"{}")
        await clients[0].aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert await front_door.serves()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /fapi/v1/order HTTP/1.1\r\nhost: localhost\r\ncontent-length: 65537\r\n\r\n" + b"x" * 65_537, b"413"),
        (b"POST /fapi/v1/order HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9999999999\r\n\r\n" + b"x" * 70_000, b"413"),
        (b"GET / HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * 10_000, b"431"),
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", b"431"),
    ],
    ids=["body", "longer body", "headers", "path"],
)
async def test_what_is_too_long_is_told_so(request_: bytes, status: bytes, autojump_clock: MockClock) -> None:
    front_door = FrontDoor()
    assert (await front_door.said(request_)).split()[1] == status
    assert await front_door.serves()


# -- offences of a WebSocket ------------------------------------------------------------------------------------------------

OFFENCES: dict[str, tuple[int, bytes]] = {
    "a frame without a mask": (1002, frame(TEXT, b"{}")),
    "a reserved bit": (1002, masked(bytes((0xC1, 2)) + b"{}")),
    "an unknown kind of frame": (1002, masked(bytes((0x83, 2)) + b"{}")),
    "an unknown control frame": (1002, masked(bytes((0x8B, 0)))),
    "a continuation of nothing": (1002, masked(frame(CONTINUATION, b"{}"))),
    "a text inside a text": (1002, masked(frame(TEXT, b"{", fin=False)) + masked(frame(TEXT, b"}"))),
    "a ping in parts": (1002, masked(bytes((0x09, 1)) + b"x")),
    "a ping that is too long": (1002, masked(bytes((0x89, 126)) + (126).to_bytes(2, "big") + b"x" * 126)),
    "a length that is longer than need be": (1002, masked(bytes((0x81, 126)) + (5).to_bytes(2, "big") + b"12345")),
    "a length beyond all lengths": (1002, masked(bytes((0x81, 127)) + (2**63).to_bytes(8, "big"))),
    "a close with half a code": (1002, masked(frame(CLOSE, b"\x03"))),
    "a close with an undefined code": (1002, masked(frame(CLOSE, (999).to_bytes(2, "big")))),
    "bytes that are not UTF-8": (1007, masked(frame(TEXT, b'{"id":"\xff"}'))),
    "half a character": (1007, masked(frame(TEXT, "é".encode()[:1]))),
    "a surrogate": (1007, masked(frame(TEXT, b"\xed\xa0\x80"))),
    "no text in the second part": (1007, masked(frame(TEXT, b"{", fin=False)) + masked(frame(CONTINUATION, b"\xff"))),
    "a close whose reason is not UTF-8": (1007, masked(frame(CLOSE, b"\x03\xe8\xff"))),
    "a message that is too long": (1009, masked(frame(TEXT, b"x" * (LONGEST_MESSAGE + 1)))),
    "a message that is too long in bytes": (1009, masked(frame(TEXT, "é".encode() * (LONGEST_MESSAGE // 2 + 1)))),
    "a binary message that is too long": (1009, masked(frame(BINARY, b"x" * (LONGEST_MESSAGE + 1)))),
    "a message that is too long in its parts": (
        1009,
        masked(frame(TEXT, b"x" * 600_000, fin=False)) + masked(frame(CONTINUATION, b"x" * 600_000)),
    ),
}


@pytest.mark.parametrize("path", [STREAMS, API])
@pytest.mark.parametrize("case", OFFENCES)
async def test_an_offence_gets_a_close_frame_before_the_end(case: str, path: bytes, autojump_clock: MockClock) -> None:
    code, offence = OFFENCES[case]
    front_door = FrontDoor()
    said = await front_door.said(UPGRADE % path, masked(frame(PING, b"?")), offence)
    assert said.startswith(b"HTTP/1.1 101 ")
    assert frame(PING, b"?")[2:] in said, "what came before is answered"
    assert close_of(said) == code
    # Not in one piece with the handshake, and with more behind it.
    assert close_of(await front_door.said(UPGRADE % path + offence + masked(frame(TEXT, b"{}")) * 100)) == code
    assert await front_door.serves()
    assert front_door.notices == []


async def test_a_close_frame_arrives_although_much_is_unread() -> None:
    """A real socket that is closed with bytes unread would be reset, and the close frame lost with it."""
    async with running() as (_, address):

        async def offend() -> None:
            client = await trio.open_tcp_stream("127.0.0.1", address.port)
            with trio.fail_after(60):
                await client.send_all(UPGRADE % STREAMS + OFFENCES["a frame without a mask"][1] + b"x" * 3_000_000)
                said = b"".join([part async for part in client])
            assert close_of(said) == 1002
            await client.aclose()

        async with trio.open_nursery() as clients:
            for _ in range(5):
                clients.start_soon(offend)


async def test_empty_parts_for_ever_take_no_room(autojump_clock: MockClock) -> None:
    front_door = FrontDoor()
    parts = masked(frame(TEXT, b"", fin=False)) + masked(frame(CONTINUATION, b"", fin=False)) * 50_000
    end = masked(frame(CONTINUATION, b'{"id":1,"method":"session.status"}'))
    assert b'"status":200' in await front_door.said(UPGRADE % API, parts, end)


async def test_a_close_of_the_client_is_answered_with_its_code(autojump_clock: MockClock) -> None:
    front_door = FrontDoor()
    for code in (1000, 1001, 3000, 4999):
        assert close_of(await front_door.said(UPGRADE % STREAMS, masked(frame(CLOSE, code.to_bytes(2, "big"))))) == code
    said = await front_door.said(UPGRADE % STREAMS, masked(frame(CLOSE, b"")))
    assert said.endswith(bytes((0x88, 0)))


async def test_what_came_with_the_handshake_is_not_lost(autojump_clock: MockClock) -> None:
    front_door = FrontDoor()
    asked = masked(frame(TEXT, b'{"id":1,"method":"session.status"}'))
    assert (await front_door.said(UPGRADE % API + asked * 3)).count(b'"status":200') == 3


# -- requests that are nested, long or many -----------------------------------------------------------------------------------

DEEP = b"[" * 900 + b"]" * 900
REQUESTS = {
    "deep parameters": (API, b'{"id":1,"method":"depth","params":{"symbol":%b}}' % DEEP, b"-1000"),
    "a deep id": (API, b'{"id":%b,"method":"depth"}' % DEEP, b"-1000"),
    "a number out of range": (API, b'{"id":1,"method":"depth","params":{"limit":1e999999}}', b"-1000"),
    "a long id": (API, b'{"id":%b,"method":"session.status"}' % (b"9" * 4000), b'"status":200'),
    "a deep method": (STREAMS, b'{"id":1,"method":%b}' % DEEP, b"Invalid"),
    "deep names": (STREAMS, b'{"id":1,"method":"SUBSCRIBE","params":[%b]}' % DEEP, b"Invalid"),
    "a long method": (STREAMS, b'{"id":1,"method":"%b"}' % (b"x" * 500_000), b"unknown variant"),
    "an unknown property": (STREAMS, b'{"id":1,"method":"SET_PROPERTY","params":[{},%b]}' % DEEP, b"Invalid"),
}


@pytest.mark.parametrize("case", REQUESTS)
async def test_a_request_of_any_shape_gets_an_answer(case: str, autojump_clock: MockClock) -> None:
    path, request, answer = REQUESTS[case]
    front_door = FrontDoor()
    said = await front_door.said(UPGRADE % path, masked(frame(TEXT, request)))
    assert answer in said.partition(b"\r\n\r\n")[2]
    assert len(said) < 20_000
    assert front_door.notices == []


async def test_names_beyond_all_names_are_acknowledged_and_not_kept(autojump_clock: MockClock) -> None:
    front_door = FrontDoor()
    names = b",".join(b'"%b%d"' % (b"x" * 900, number) for number in range(1000))
    said = await front_door.said(
        UPGRADE % STREAMS,
        masked(frame(TEXT, b'{"id":1,"method":"SUBSCRIBE","params":[%b]}' % names)),
        masked(frame(TEXT, b'{"id":2,"method":"LIST_SUBSCRIPTIONS"}')),
    )
    assert b'{"result":null,"id":1}' in said
    assert b'{"result":[],"id":2}' in said


@pytest.mark.parametrize("body", [b"&" * 60_000, b"a=1&" * 15_000, b"symbol=BTCUSDT&" * 4_000])
async def test_parameters_without_number_are_refused_quickly(body: bytes, autojump_clock: MockClock) -> None:
    front_door = FrontDoor()
    head = b"POST /fapi/v1/order HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    said = await front_door.said(head + body)
    assert said.split()[1] in (b"400", b"401")
    assert await front_door.serves()


@pytest.mark.parametrize("orders", [DEEP, b"[" * 15_000, b'[{"symbol":%b}]' % DEEP, b"[[]]", b"[null]", b"{}", b"1e999999"])
async def test_batches_of_any_shape_are_refused(orders: bytes) -> None:
    async with running() as (_, address), Rest(address) as rest:
        for verb, params in (
            ("POST", {"batchOrders": orders.decode()}),
            ("DELETE", {"symbol": "BTCUSDT", "orderIdList": orders.decode()}),
            ("DELETE", {"symbol": "BTCUSDT", "origClientOrderIdList": orders.decode()}),
        ):
            answer = await rest.raw(verb, "/fapi/v1/batchOrders", body=rest.sign(params))
            assert answer.status_code in (200, 400), answer.text
            assert answer.headers["content-type"] == "application/json"


async def test_others_go_on_while_rubbish_comes_in() -> None:
    async def rubbish(port: int) -> None:
        for _, offence in OFFENCES.values():
            client = await trio.open_tcp_stream("127.0.0.1", port)
            with suppress(trio.BrokenResourceError, OSError):
                await client.send_all(UPGRADE % API + offence)
                await client.receive_some()
            await trio.aclose_forcefully(client)

    async with (
        running() as (_, address),
        stream(address, "/market/ws/btcusdt@markPrice@1s") as line,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(rubbish, address.port)
        for _ in range(2):
            await line.until("markPriceUpdate", 10)
