"""The links of a run as the engine sees them: what is reported, in which order, and what of a request has left when a link dies."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio.testing import MockClock

from coldframe.core.connectivity.signing import Ed25519Signer, HmacSigner, Signer, api_payload
from coldframe.model.effects import CloseLink, LinkKind, OpenLink, SendControl, SendRequest
from coldframe.model.inputs import (
    FramesReceived,
    Input,
    Lane,
    LinkLost,
    LinkOpened,
    RequestNotWritten,
    RequestWritten,
    Stamped,
)
from coldframe.secret import Secret
from coldframe.trio_io.inbox import Inbox
from coldframe.trio_io.link import USUAL, LinkLimits
from coldframe.trio_io.links import Links
from coldframe.wire.routes import Endpoints
from tests.trio_io.peer import CONTINUATION, PATIENCE_S, TEXT, Line, Script, close, frame, listening, text

NOW_MS = 1_700_000_000_000
LISTEN_KEY = "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"
KIND = TypeVar("KIND")

HMAC = HmacSigner(Secret("HMAC-API-KEY"), Secret("HMAC-SECRET"))
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ED25519 = Ed25519Signer(Secret("ED-API-KEY"), PRIVATE)


class Bench:
    """Links to one peer, and everything they report."""

    def __init__(self, nursery: trio.Nursery, base: str, signer: Signer | None, limits: LinkLimits = USUAL) -> None:
        self.now_ms = NOW_MS
        self.inbox = Inbox(lambda: self.now_ms * 1_000_000)
        there = Endpoints("http://127.0.0.1:9", base, f"{base}/ws-fapi/v1")
        tls = ssl.create_default_context()
        self.links = Links(nursery, self.inbox, there, there, tls, lambda: self.now_ms, signer, 5000, limits)
        self.seen: list[Stamped] = []

    def open(self, kind: LinkKind = LinkKind.API, path: str = "") -> None:
        self.links.open(OpenLink("one", kind, path))

    def ask(self, request_id: int, method: str = "order.cancel", **params: str | int) -> None:
        self.links.send_request(SendRequest("one", request_id, method, params))

    async def until(self, kind: type[KIND], count: int = 1) -> KIND:
        """Waits for an input of a kind, and returns the latest of them."""
        while len(found := self.of(kind)) < count:
            self.seen += await self.inbox.receive()
        return found[count - 1]

    def of(self, kind: type[KIND]) -> list[KIND]:
        return [event.event for event in self.seen if isinstance(event.event, kind)]

    @property
    def events(self) -> list[Input]:
        return [event.event for event in self.seen]


@asynccontextmanager
async def bench(script: Script, signer: Signer | None = None, limits: LinkLimits = USUAL) -> AsyncIterator[Bench]:
    with trio.fail_after(PATIENCE_S):
        async with listening(script) as port, trio.open_nursery() as nursery:
            yield Bench(nursery, f"ws://127.0.0.1:{port}", signer, limits)
            nursery.cancel_scope.cancel()


class Peer:
    """A peer that keeps the requests it gets, and who asked."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.greeting = greeting
        self.lines: list[Line] = []
        self.got: list[dict[str, Any]] = []
        self.news = trio.Event()

    async def __call__(self, line: Line) -> None:
        await line.accept()
        self.lines.append(line)
        await line.send(self.greeting)
        while True:
            self.got.append(json.loads(await line.next_text()))
            self.news.set()

    async def wait_for(self, count: int) -> list[dict[str, Any]]:
        while len(self.got) < count:
            self.news = trio.Event()
            await self.news.wait()
        return self.got


# -- opening and losing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "path", "asked"),
    [
        (LinkKind.MARKET, "/public/stream", "/public/stream"),
        (LinkKind.PRIVATE, f"/private/ws/{LISTEN_KEY}", f"/private/ws/{LISTEN_KEY}"),
        (LinkKind.API, "", "/ws-fapi/v1"),
    ],
)
async def test_each_kind_has_its_address_and_its_lane(kind: LinkKind, path: str, asked: str) -> None:
    peer = Peer(text('{"a":1}') + text('{"a":2}'))
    async with bench(peer) as rig:
        rig.open(kind, path)
        assert await rig.until(LinkOpened) == LinkOpened("one")
        while sum(len(received.frames) for received in rig.of(FramesReceived)) < 2:
            rig.seen += await rig.inbox.receive()
        assert peer.lines[0].path == asked
        assert {received.link for received in rig.of(FramesReceived)} == {"one"}
        lanes = {stamped.lane for stamped in rig.seen if isinstance(stamped.event, FramesReceived)}
        assert lanes == {Lane.MARKET if kind is LinkKind.MARKET else Lane.PRIVATE}


async def test_link_that_cannot_be_opened_is_lost_without_being_opened() -> None:
    async def script(line: Line) -> None:
        await line.read_request()
        await line.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")

    async with bench(script) as rig:
        rig.open()
        lost = await rig.until(LinkLost)
        assert "status 503 busy" in lost.reason
        assert (lost.link, lost.code, lost.banned_until_ms) == ("one", None, None)
        assert rig.of(LinkOpened) == []


@pytest.mark.parametrize(
    ("status", "header", "body", "until_ms"),
    [
        ("418 I'm a teapot", "", '{"code":-1003,"msg":"IP banned until 1700000123456."}', 1_700_000_123_456),
        ("418 I'm a teapot", "Retry-After: 120\r\n", "", NOW_MS + 120_000),
        ("429 Too Many Requests", "Retry-After: 3\r\n", "", NOW_MS + 3_000),
    ],
)
async def test_a_ban_is_handed_on(status: str, header: str, body: str, until_ms: int) -> None:
    async def script(line: Line) -> None:
        await line.read_request()
        await line.send(f"HTTP/1.1 {status}\r\n{header}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    async with bench(script) as rig:
        rig.open(LinkKind.PRIVATE, f"/private/ws/{LISTEN_KEY}")
        lost = await rig.until(LinkLost)
        assert lost.banned_until_ms == until_ms
        assert LISTEN_KEY[:8] not in lost.reason


async def test_malformed_handshake_or_path_is_a_lost_link_not_a_crash() -> None:
    async def script(line: Line) -> None:
        await line.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")

    async with bench(script) as rig:
        rig.open()
        assert "no WebSocket handshake" in (await rig.until(LinkLost)).reason
        rig.open(LinkKind.PRIVATE, "/private/ws/a key\r\nHost: evil")
        assert "no path may have" in (await rig.until(LinkLost, 2)).reason


async def test_frames_before_a_drop_are_delivered_before_the_link_loss() -> None:
    async def script(line: Line) -> None:
        await line.accept()
        await line.send(text("1") + frame(TEXT, b"2", fin=False) + frame(CONTINUATION, b"!") + text("3") + close(1008, "enough"))
        await line.wait_gone()

    async with bench(script) as rig:
        rig.open()
        lost = await rig.until(LinkLost)
        assert lost == LinkLost("one", "closed with 1008 POLICY_VIOLATION (enough)", 1008)
        assert rig.events[0] == LinkOpened("one")
        assert rig.events[-1] == lost
        assert [payload for received in rig.of(FramesReceived) for payload in received.frames] == [b"1", b"2!", b"3"]


async def test_every_market_frame_is_tapped_and_no_other() -> None:
    frames = [b'{"stream":"x","data":%d}' % number for number in range(1_000)]
    sent = b"".join(
        frame(TEXT, sent[:5], fin=False) + frame(CONTINUATION, sent[5:]) if sent == frames[700] else text(sent) for sent in frames
    )
    for kind in (LinkKind.MARKET, LinkKind.PRIVATE):
        tapped: list[list[bytes]] = [[], []]
        async with bench(Peer(sent)) as rig:
            rig.links.taps += [tapped[0].append, tapped[1].append]
            rig.open(kind, "/public/stream")
            heard: list[bytes] = []
            while len(heard) < len(frames):
                rig.seen = await rig.inbox.receive()
                heard += [payload for received in rig.of(FramesReceived) for payload in received.frames]
        assert heard == frames
        assert tapped == ([frames, frames] if kind is LinkKind.MARKET else [[], []])


# -- closing ----------------------------------------------------------------------------------------------------------


async def test_a_link_closed_by_the_engine_is_not_reported_as_lost(virtual_clock: MockClock) -> None:
    gone = trio.Event()

    async def script(line: Line) -> None:
        await line.accept()
        await line.next_frame()
        gone.set()
        await line.send(close(1000))

    async with bench(script) as rig:
        rig.open()
        await rig.until(LinkOpened)
        rig.links.close(CloseLink("one", "rotated"))
        await gone.wait()
        await rig.links.close_all()
        rig.ask(1)  # it is gone, and says so at once
        assert await rig.until(RequestNotWritten) == RequestNotWritten("one", 1, "the link is gone or full")
        assert rig.of(LinkLost) == []


async def test_a_link_that_is_closed_before_it_is_open() -> None:
    asked = trio.Event()

    async def script(line: Line) -> None:
        await line.read_request()
        asked.set()
        await line.wait_gone()
        asked.set()

    async with bench(script) as rig:
        rig.open()
        await asked.wait()
        asked = trio.Event()
        rig.links.close(CloseLink("one", "not wanted any more"))
        await asked.wait()
        rig.ask(1)
        await rig.until(RequestNotWritten)
        assert rig.of(LinkLost) == []


async def test_w22_closing_all_links_does_not_wait_for_a_silent_peer() -> None:
    async def script(line: Line) -> None:
        await line.accept()
        await trio.sleep_forever()

    async with bench(script, limits=LinkLimits(close_s=0.2)) as rig:
        for name in ("one", "two", "three"):
            rig.links.open(OpenLink(name, LinkKind.MARKET, "/public/stream"))
        await rig.until(LinkOpened, 3)
        await rig.links.close_all()
        assert rig.of(LinkLost) == []


# -- requests ---------------------------------------------------------------------------------------------------------


async def test_control_frames_go_out_as_they_are() -> None:
    peer = Peer()
    async with bench(peer) as rig:
        rig.links.send_control(SendControl("no link", b"{}"))
        rig.open(LinkKind.MARKET, "/public/stream")
        rig.links.send_control(SendControl("one", b'{"method":"SUBSCRIBE","id":1,"params":["a"]}'))
        assert await peer.wait_for(1) == [{"method": "SUBSCRIBE", "id": 1, "params": ["a"]}]


def checks_out(params: dict[str, Any], key: str) -> bool:
    """Whether a request of the WebSocket API carries a good signature over all its parameters."""
    assert params["apiKey"] == key
    payload = api_payload(params)
    if key == "HMAC-API-KEY":
        return bool(HMAC.sign(payload) == params["signature"])
    PRIVATE.public_key().verify(base64.b64decode(params["signature"]), payload)
    return True


async def test_ed25519_signs_the_log_on_and_stamps_the_other_requests() -> None:
    peer = Peer()
    async with bench(peer, ED25519) as rig:
        rig.open()
        rig.links.offset_ms = 250
        rig.ask(1, "session.logon")
        rig.ask(2, "order.place", symbol="BTCUSDT", side="BUY", quantity="0.001")
        rig.ask(3, "session.status")
        rig.ask(4, "userDataStream.start")
        logon, place, status, start = await peer.wait_for(4)
        assert checks_out(logon["params"], "ED-API-KEY")
        assert logon["params"]["timestamp"] == NOW_MS + 250
        assert place == {
            "id": 2,
            "method": "order.place",
            "params": {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.001", "timestamp": NOW_MS + 250, "recvWindow": 5000},
        }
        assert status["params"] == {}
        assert start["params"] == {"apiKey": "ED-API-KEY"}
        await rig.until(RequestWritten, 4)
        assert rig.of(RequestWritten) == [RequestWritten("one", number, NOW_MS + 250) for number in range(1, 5)]


async def test_with_hmac_every_request_is_signed() -> None:
    peer = Peer()
    async with bench(peer, HMAC) as rig:
        rig.open()
        rig.ask(1, "order.place", symbol="BTCUSDT", price="60000.10", newClientOrderId="cf.mm.abc.1")
        rig.ask(2, "order.cancel", symbol="BTCUSDT", orderId=8886774)
        rig.ask(3, "depth", symbol="BTCUSDT")
        place, cancel, depth = await peer.wait_for(3)
        assert checks_out(place["params"], "HMAC-API-KEY")
        assert checks_out(cancel["params"], "HMAC-API-KEY")
        assert cancel["params"]["orderId"] == 8886774
        assert depth["params"] == {"symbol": "BTCUSDT"}


async def test_without_a_key_nothing_is_signed() -> None:
    peer = Peer()
    async with bench(peer) as rig:
        rig.open()
        rig.ask(1, "order.cancel", symbol="BTCUSDT")
        assert (await peer.wait_for(1))[0]["params"] == {"symbol": "BTCUSDT"}


async def test_request_is_stamped_when_written_not_when_queued() -> None:
    peer, may_open = Peer(), trio.Event()

    async def script(line: Line) -> None:
        await may_open.wait()
        await peer(line)

    async with bench(script, ED25519) as rig:
        rig.open()
        rig.ask(1, symbol="BTCUSDT")
        await trio.testing.wait_all_tasks_blocked(0.01)
        rig.now_ms += 700
        rig.links.offset_ms = -30
        may_open.set()
        (request,) = await peer.wait_for(1)
        assert request["params"]["timestamp"] == NOW_MS + 700 - 30
        assert (await rig.until(RequestWritten)).timestamp_ms == request["params"]["timestamp"]


async def test_p13_order_decided_too_long_ago_is_not_sent_a_cancel_is() -> None:
    peer, may_open = Peer(), trio.Event()

    async def script(line: Line) -> None:
        await may_open.wait()
        await peer(line)

    async with bench(script, ED25519) as rig:
        rig.links.max_age_ms = 2_000
        rig.open()
        for number, method in enumerate(("order.place", "order.modify", "algoOrder.place", "order.cancel", "order.status"), 1):
            rig.links.send_request(SendRequest("one", number, method, {"symbol": "BTCUSDT"}), NOW_MS - 500)
        rig.ask(6, "order.place", symbol="BTCUSDT")
        rig.now_ms += 2_000
        may_open.set()
        assert [request["id"] for request in await peer.wait_for(3)] == [4, 5, 6]
        await rig.until(RequestWritten, 3)
    refused = rig.of(RequestNotWritten)
    assert [event.request_id for event in refused] == [1, 2, 3]
    assert refused[0].reason == "based on market data 2500 ms old: more than orders.max_age_ms = 2000"


async def test_what_the_guard_is_against_is_not_written() -> None:
    peer = Peer()
    async with bench(peer, ED25519) as rig:
        rig.links.guard = lambda effect: "halted" if effect.method == "order.place" else None
        rig.open()
        rig.ask(1, "order.place", symbol="BTCUSDT")
        rig.ask(2, "order.cancel", symbol="BTCUSDT")
        assert [request["id"] for request in await peer.wait_for(1)] == [2]
        assert (await rig.until(RequestNotWritten)).reason == "halted"


async def test_a_request_is_reported_as_written_before_its_answer() -> None:
    async def script(line: Line) -> None:
        await line.accept()
        while True:
            request = json.loads(await line.next_text())
            await line.send(text(json.dumps({"id": request["id"], "status": 200, "result": {}})))

    async with bench(script, ED25519) as rig:
        rig.open()
        for number in range(1, 200):
            rig.ask(number)
            await rig.until(RequestWritten, number)
            while not any(b'"id": %d,' % number in payload for received in rig.of(FramesReceived) for payload in received.frames):
                rig.seen += await rig.inbox.receive()
        order = [event for event in rig.events if isinstance(event, RequestWritten | FramesReceived)]
        assert [type(event) for event in order] == [RequestWritten, FramesReceived] * 199


async def test_requests_waiting_for_a_link_that_cannot_open_come_back() -> None:
    async with bench(Line.reset, ED25519) as rig:
        rig.open()
        for number in (1, 2, 3):
            rig.ask(number)
        await rig.until(LinkLost)
        reason = "the link ended before it was written"
        assert rig.events[:-1] == [RequestNotWritten("one", number, reason) for number in (1, 2, 3)]


async def test_only_certainly_unwritten_requests_of_a_stall_come_back() -> None:
    done = trio.Event()

    async def script(line: Line) -> None:
        await line.accept()
        await done.wait()

    count = 40
    async with bench(script, ED25519, LinkLimits(write_s=0.3)) as rig:
        rig.open()
        await rig.until(LinkOpened)
        for number in range(1, count + 1):
            rig.ask(number, padding="x" * 1_000_000)
        lost = await rig.until(LinkLost)
        done.set()
        assert "could not be written within" in lost.reason
        written = [event.request_id for event in rig.of(RequestWritten)]
        came_back = [event.request_id for event in rig.of(RequestNotWritten)]
        assert 0 < len(written) < count
        assert written + came_back == list(range(1, count + 1))
        assert rig.events[-1] == lost


async def test_a_full_outbox_says_so() -> None:
    async def script(line: Line) -> None:
        await trio.sleep_forever()

    async with bench(script, limits=LinkLimits(outbox=3)) as rig:
        rig.open()
        for number in range(1, 6):
            rig.ask(number)
        await rig.until(RequestNotWritten, 2)
        assert [event.request_id for event in rig.of(RequestNotWritten)] == [4, 5]


async def test_a_link_that_was_never_opened() -> None:
    async with bench(Peer()) as rig:
        rig.ask(7)
        assert await rig.until(RequestNotWritten) == RequestNotWritten("one", 7, "the link is gone or full")
        rig.links.close(CloseLink("one", "never was"))


@pytest.mark.parametrize(
    ("tap", "bug"), [(lambda frame: 1 // 0, ZeroDivisionError), (lambda frame: frame.decode("ascii"), UnicodeError)]
)
async def test_a_bug_is_no_link_error(tap: Callable[[bytes], None], bug: type[Exception]) -> None:
    async def run() -> None:
        async with bench(Peer(text("ж"))) as rig:
            rig.links.taps.append(tap)
            rig.open(LinkKind.MARKET, "/public/stream")
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as group:
        await run()
    assert group.group_contains(bug)


async def test_a_silent_peer_is_reported() -> None:
    async def script(line: Line) -> None:
        await line.accept()
        await line.wait_gone()

    async with bench(script, limits=LinkLimits(ping_period_s=0.05, pong_s=0.1)) as rig:
        rig.open()
        lost = await rig.until(LinkLost)
        assert "no answer to a ping" in lost.reason
        assert lost.code is None
