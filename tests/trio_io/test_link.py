"""A link that is open: what it hands over, how it stays alive, and how it ends, whatever the peer does to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count, pairwise
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked
from trio_websocket import WebSocketConnection, wrap_client_stream

from coldframe.errors import LinkDropped, LinkError, LinkRefused, LinkSilent
from coldframe.exchange.endpoints.connection_life import PINGS_PER_SECOND, PingAllowance
from coldframe.trio_io.batch import BatchStream
from coldframe.trio_io.error_text import first_error
from coldframe.trio_io.link import USUAL, LinkAddress, LinkLimits, close_when, keep_alive, open_websocket, read, write
from tests.trio_io.peer import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PATIENCE_S,
    PING,
    PONG,
    TEXT,
    Line,
    close,
    frame,
    listening,
    open_files,
    text,
)


@attrs.define
class Ended:
    """A link that has ended: what it had brought, and why it ended."""

    heard: list[bytes]
    error: LinkError


async def live(
    port: int, *also: Callable[[WebSocketConnection], Awaitable[None]], host: str = "127.0.0.1", limits: LinkLimits = USUAL
) -> Ended:
    """Opens a link and reads from it until it ends, with other tasks beside the reader."""
    heard: list[bytes] = []
    try:
        with trio.fail_after(PATIENCE_S):
            async with (
                open_websocket(LinkAddress(host, port, "/ws"), lambda: 0, heard.extend, limits) as socket,
                trio.open_nursery() as nursery,
            ):
                for task in also:
                    nursery.start_soon(task, socket)
                await read(socket, heard.extend)
    except (ExceptionGroup, LinkError) as group:
        error = first_error(group)
        if isinstance(error, LinkError):
            return Ended(heard, error)
        raise
    raise AssertionError("a link does not end without an error")


def sending(data: bytes) -> Callable[[Line], Awaitable[None]]:
    """A peer that opens the WebSocket, sends this and waits until the client goes."""

    async def script(line: Line) -> None:
        await line.accept()
        await line.send(data)
        await line.wait_gone()

    return script


async def after(data: bytes, limits: LinkLimits = USUAL) -> Ended:
    """What becomes of a link on which this comes."""
    async with listening(sending(data)) as port:
        return await live(port, limits=limits)


# -- what it hands over -----------------------------------------------------------------------------------------------


async def test_w7_messages_of_every_kind_in_their_order() -> None:
    data = text("1") + frame(PING, b"?") + text("é") + frame(TEXT, "ж".encode()[:1], fin=False) + frame(PONG)
    data += frame(CONTINUATION, "ж".encode()[1:] + b"3", fin=False) + frame(CONTINUATION) + text("4")
    ended = await after(data + frame(BINARY, b"\0\xff") + text("6") + close(1000))
    assert ended.heard == [b"1", "é".encode(), "ж3".encode(), b"4", b"\0\xff", b"6"]
    assert isinstance(ended.error, LinkDropped)


async def test_a_large_message_and_thousands_of_small_ones() -> None:
    small = [b'{"stream":"btcusdt@aggTrade","data":%d}' % number for number in range(20_000)]
    ended = await after(text(b"x" * 300_000) + b"".join(map(text, small)) + close(1001))
    assert ended.heard == [b"x" * 300_000, *small]


async def test_w5_thousands_of_fragments_do_not_stop_the_reader() -> None:
    data = b"".join(frame(TEXT, b"%d" % number, fin=False) + frame(CONTINUATION) for number in range(3_000))
    assert (await after(data + close(1000))).heard == [b"%d" % number for number in range(3_000)]


async def test_over_ipv6() -> None:
    try:
        async with listening(sending(text("six") + close(1000)), host="::1") as port:
            assert (await live(port, host="::1")).heard == [b"six"]
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")


# -- how it ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999])
async def test_w3_a_close_gives_its_code_and_reason(code: int) -> None:
    ended = await after(close(code, "Too many requests") + text("after the close"))
    assert isinstance(ended.error, LinkDropped)
    assert ended.error.code == code
    assert str(ended.error).startswith(f"closed with {code} ")
    assert str(ended.error).endswith("(Too many requests)")
    assert ended.heard == []


@pytest.mark.parametrize(
    "data", [close(1005), close(1006), close(1015), close(999), close(65535), frame(CLOSE, b"\x03"), frame(CLOSE)]
)
async def test_odd_closes_end_the_link_all_the_same(data: bytes) -> None:
    ended = await after(data)
    assert isinstance(ended.error, LinkDropped)
    assert ended.error.code in (1002, 1005)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(frame(TEXT, b"\xc3\x28"), 1007, id="invalid UTF-8"),
        pytest.param(frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"\xff"), 1007, id="invalid UTF-8 in a fragment"),
        pytest.param(frame(0x3, b"x"), 1002, id="bad opcode"),
        pytest.param(frame(0xB, b"x"), 1002, id="bad control opcode"),
        pytest.param(frame(TEXT, b"x", rsv=4), 1002, id="RSV bit without an extension"),
        pytest.param(frame(TEXT, b"x", masked=True), 1002, id="masked by a server"),
        pytest.param(frame(CONTINUATION, b"x"), 1002, id="nothing to go on with"),
        pytest.param(frame(TEXT, b"x", fin=False) + text("y"), 1002, id="a text within a text"),
        pytest.param(frame(PING, b"x" * 126), 1002, id="a ping that is too long"),
        pytest.param(frame(PING, fin=False), 1002, id="a ping in fragments"),
        pytest.param(frame(TEXT, b"x", wide=8), 1002, id="a length longer than it need be"),
    ],
)
async def test_w4_offences_end_the_link_at_once(data: bytes, code: int) -> None:
    ended = await after(text("good") + data + text("never heard") * 3)
    assert isinstance(ended.error, LinkDropped)
    assert ended.error.code == code
    assert ended.heard == [b"good"]


async def test_w6_a_message_that_is_too_large() -> None:
    limits = LinkLimits(message_bytes=100_000)
    for data in (text(b"x" * 100_001), (frame(TEXT, b"x" * 60_000, fin=False) + frame(CONTINUATION, b"x" * 60_000))):
        ended = await after(text(b"y" * 100_000) + data, limits)
        assert isinstance(ended.error, LinkDropped)
        assert ended.error.code == 1009
        assert "100000 bytes" in str(ended.error)
        assert ended.heard == [b"y" * 100_000]


@pytest.mark.parametrize("hard", [False, True], ids=["an end", "a reset"])
async def test_a_connection_that_ends_without_a_close(hard: bool) -> None:
    async def script(line: Line) -> None:
        await line.accept()
        await line.send(text("whole") + text("half of it")[:6])
        await wait_all_tasks_blocked(0.01)
        if hard:
            await line.reset()

    async with listening(script) as port:
        ended = await live(port)
    assert isinstance(ended.error, LinkDropped)
    assert ended.error.code == 1006
    assert ended.heard == [b"whole"]


def bad_endings() -> list[tuple[bytes, bool]]:
    """What a peer sends last, and whether it cuts the connection itself or leaves that to us."""
    offences = [frame(TEXT, b"\xff"), frame(0x3), frame(TEXT, rsv=1), frame(CONTINUATION, b"x"), close(1008), close(1000), b""]
    return [(data, cut) for data in offences for cut in (False, True) if data or cut]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
async def test_w4_no_descriptor_is_left_after_200_reconnects() -> None:
    endings = bad_endings()
    numbers = count()

    async def script(line: Line) -> None:
        number = next(numbers)
        if number % 10 == 9:
            await line.send(b"HTTP/1.1 503 Busy\r\n\r\n")
            return
        await line.accept()
        data, cuts = endings[number % len(endings)]
        await line.send(data)
        await (line.reset() if cuts else line.wait_gone())

    async with listening(script) as port:
        before = open_files()
        for _ in range(200):
            ended = await live(port)
            assert isinstance(ended.error, LinkDropped | LinkRefused)
        await wait_all_tasks_blocked(0.05)
        assert open_files() <= before


# -- staying alive ----------------------------------------------------------------------------------------------------


async def test_w2_every_ping_in_a_flood_is_answered_with_its_payload() -> None:
    payloads = [b"", b"1700000000000", bytes(125)]
    answered: list[bytes] = []

    async def script(line: Line) -> None:
        await line.accept()
        for payload in payloads:
            await line.send(text("x" * 1000) * 500 + frame(PING, payload) + text("y") * 500)
            opcode, echoed = await line.next_frame()
            assert opcode == PONG
            answered.append(echoed)
        await line.send(close(1000))
        await line.wait_gone()

    async with listening(script) as port:
        ended = await live(port)
    assert answered == payloads
    assert len(ended.heard) == 3_000


@asynccontextmanager
async def virtual_link(script: Callable[[Line], Awaitable[None]]) -> AsyncIterator[WebSocketConnection]:
    """A link over memory streams, for virtual time."""
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(script, Line(far))  # type: ignore[arg-type]
        below = BatchStream(near, lambda batch: None, USUAL.message_bytes)
        below.begin()
        yield await wrap_client_stream(nursery, below, "venue", "/ws")  # type: ignore[arg-type]
        nursery.cancel_scope.cancel()


async def pongs(line: Line, count: int, disguise: Callable[[bytes], bytes] = bytes) -> None:
    """A peer that answers so many pings, and then none."""
    await line.accept()
    for _ in range(count):
        opcode, payload = await line.next_frame()
        assert opcode == PING
        await line.send(frame(PONG, disguise(payload)))
    await trio.sleep_forever()


@pytest.mark.parametrize("answered", [0, 1, 10])
async def test_n7_a_peer_that_no_longer_answers_pings_is_dead(answered: int, autojump_clock: MockClock) -> None:
    async with virtual_link(lambda line: pongs(line, answered)) as socket:
        began = trio.current_time()
        with pytest.raises(LinkSilent, match="no answer to a ping within 10 s"):
            await keep_alive(socket)
        assert trio.current_time() - began == pytest.approx((answered + 1) * USUAL.ping_period_s + USUAL.pong_s)


async def test_own_pings_stay_far_below_the_limit_of_a_venue(autojump_clock: MockClock) -> None:
    allowance, sent = PingAllowance(), list[float]()

    async def answer_pings(line: Line) -> None:
        await line.accept()
        for _ in range(180):
            opcode, payload = await line.next_frame()
            assert opcode == PING
            assert allowance.spend(round(trio.current_time() * 1000))
            sent.append(trio.current_time())
            await line.send(frame(PONG, payload))
        await trio.sleep_forever()

    async with virtual_link(answer_pings) as socket:
        with pytest.raises(LinkSilent):
            await keep_alive(socket)
    assert min(after - before for before, after in pairwise(sent)) > 10 / PINGS_PER_SECOND


async def test_a_pong_with_another_payload_is_no_answer(autojump_clock: MockClock) -> None:
    async with virtual_link(lambda line: pongs(line, 1, lambda payload: payload[::-1] + b"!")) as socket:
        with pytest.raises(LinkSilent):
            await keep_alive(socket)


async def test_n7_peer_that_sends_data_but_no_pong_is_declared_dead(autojump_clock: MockClock) -> None:
    async def script(line: Line) -> None:
        await line.accept()
        while True:
            await line.send(text("still here"))
            await trio.sleep(0.5)

    async with virtual_link(script) as socket:
        with pytest.raises(LinkSilent):
            await keep_alive(socket)
    assert trio.current_time() < USUAL.ping_period_s + USUAL.pong_s + 1


async def test_keeping_alive_ends_with_the_link(autojump_clock: MockClock) -> None:
    async def script(line: Line) -> None:
        await line.accept()
        await trio.sleep(5)
        await line.send(close(1001, "bye"))
        await line.wait_gone()

    async with virtual_link(script) as socket:
        with pytest.raises(LinkDropped) as dropped:
            await keep_alive(socket)
    assert dropped.value.code == 1001


# -- writing ----------------------------------------------------------------------------------------------------------


async def test_peer_that_does_not_read_ends_the_link_and_the_write() -> None:
    reset = trio.Event()

    async def script(line: Line) -> None:
        await line.accept()
        await reset.wait()

    async def writer(socket: WebSocketConnection) -> None:
        while True:
            await write(socket, b"x" * 1_000_000, LinkLimits(write_s=0.3))

    async with listening(script) as port:
        ended = await live(port, writer)
        reset.set()
    assert isinstance(ended.error, LinkDropped)
    assert "could not be written within" in str(ended.error)


async def test_a_write_is_not_cut_by_a_cancellation() -> None:
    size = 3_000_000
    got: list[bytes] = []
    whole, cut = trio.Event(), trio.CancelScope()

    async def script(line: Line) -> None:
        await line.accept()
        await wait_all_tasks_blocked(0.01)
        cut.cancel()
        got.append(await line.next_text())
        whole.set()

    async with listening(script) as port:
        with trio.fail_after(PATIENCE_S):
            async with open_websocket(LinkAddress("127.0.0.1", port, "/"), lambda: 0, lambda batch: None) as socket:
                with cut:
                    await write(socket, b"x" * size)
            await whole.wait()
    assert len(got[0]) == size


async def test_writing_to_a_link_that_has_ended() -> None:
    async with listening(sending(close(1008, "enough"))) as port:
        with trio.fail_after(PATIENCE_S):
            async with open_websocket(LinkAddress("127.0.0.1", port, "/"), lambda: 0, lambda batch: None) as socket:
                with pytest.raises(LinkDropped):
                    await read(socket, lambda batch: None)
                with pytest.raises(LinkDropped) as dropped:
                    await write(socket, b"too late")
    assert dropped.value.code == 1008


# -- closing ----------------------------------------------------------------------------------------------------------


async def close_now(socket: WebSocketConnection, limits: LinkLimits = USUAL) -> None:
    asked = trio.Event()
    asked.set()
    await close_when(asked, socket, limits)


async def test_an_orderly_close_waits_for_the_answer_and_loses_nothing(virtual_clock: MockClock) -> None:
    told: list[str] = []

    async def script(line: Line) -> None:
        await line.accept()
        await line.send(text("unread") * 1000)
        told.append((await line.next_text()).decode())
        opcode, payload = await line.next_frame()
        assert (opcode, payload[:2]) == (CLOSE, b"\x03\xe8")
        with trio.move_on_after(0.1) as waiting:
            await line.stream.receive_some()
        told.append("the client waits" if waiting.cancelled_caught else "the client is gone")
        await line.send(close(1000))
        await line.wait_gone()

    async def say_and_close(socket: WebSocketConnection) -> None:
        await write(socket, b"the last word")
        await close_now(socket)

    async with listening(script) as port:
        ended = await live(port, say_and_close)
    assert isinstance(ended.error, LinkDropped)
    assert told == ["the last word", "the client waits"]


async def silent(line: Line) -> None:
    await line.accept()
    await line.wait_gone()


async def flooding(line: Line) -> None:
    await line.accept()
    while True:
        await line.send(text("x" * 1000) * 100)


async def pinging(line: Line) -> None:
    await line.accept()
    while True:
        await line.send(frame(PING, b"x") * 10)


async def deaf(line: Line) -> None:
    await line.accept()
    await trio.sleep_forever()


@pytest.mark.parametrize("script", [silent, flooding, pinging, deaf])
async def test_w22_a_peer_that_does_not_finish_a_close_is_cut_off(script) -> None:  # type: ignore[no-untyped-def]
    async def soon(socket: WebSocketConnection) -> None:
        await close_now(socket, LinkLimits(close_s=0.3))

    async with listening(script) as port:
        ended = await live(port, soon)
    assert isinstance(ended.error, LinkDropped)
