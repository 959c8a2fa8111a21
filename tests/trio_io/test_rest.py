"""REST: what exactly is sent, what comes of it, and that nothing secret is ever said."""

from __future__ import annotations

import base64
import gc
import gzip
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
import trio
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio.testing import MockClock

from coldframe.core.connectivity.signing import Ed25519Signer, HmacSigner, Signer
from coldframe.errors import LinkRefused
from coldframe.model.effects import CallRest
from coldframe.model.inputs import Lane, RestAnswered, Stamped
from coldframe.secret import Secret
from coldframe.trio_io.inbox import Inbox
from coldframe.trio_io.rest import CALL_TIMEOUT_S, TIMEOUT_S, RestClient
from tests.trio_io.peer import PATIENCE_S, Line, listening
from tests.trio_io.web import Asked, Told, serving

NOW_NS = 1_700_000_000_123_456_789
NOW_MS = NOW_NS // 1_000_000
KEY, SECRET = "CANARY-API-KEY-0123456789", "CANARY-SECRET-9876543210"
HMAC = HmacSigner(Secret(KEY), Secret(SECRET))
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@asynccontextmanager
async def rest_at(
    base: str | int, signer: Signer | None = HMAC, tls: ssl.SSLContext | None = None, **limits: Any
) -> AsyncIterator[RestClient]:
    there = base if isinstance(base, str) else f"http://127.0.0.1:{base}"
    with trio.fail_after(PATIENCE_S):
        async with RestClient(there, tls or ssl.create_default_context(), lambda: NOW_NS, signer, 5000, **limits) as rest:
            yield rest


# -- what is sent -----------------------------------------------------------------------------------------------------


async def test_a_public_call_carries_nothing_of_ours() -> None:
    async with (
        serving(lambda asked: Told(b'{"serverTime":1}', headers=(("X-MBX-USED-WEIGHT-1M", "7"),))) as web,
        rest_at(web.port) as rest,
    ):
        answer = await rest.ask("GET", "/fapi/v1/depth", {"symbol": "币安人生USDT", "limit": 1000})
    assert (answer.status, answer.body, answer.used_weight_1m) == (200, b'{"serverTime":1}', 7)
    (asked,) = web.asked
    assert asked.target == "/fapi/v1/depth?symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT&limit=1000"
    assert "x-mbx-apikey" not in asked.headers


async def test_a_call_that_needs_the_key_carries_it_and_no_signature() -> None:
    async with serving() as web, rest_at(web.port) as rest:
        await rest.ask("POST", "/fapi/v1/listenKey", {})
    assert (web.asked[0].verb, web.asked[0].target) == ("POST", "/fapi/v1/listenKey")
    assert web.asked[0].headers["x-mbx-apikey"] == KEY


@pytest.mark.parametrize("verb", ["GET", "POST", "DELETE"])
async def test_the_signature_is_over_exactly_the_query_that_is_sent(verb: str) -> None:
    async with serving() as web, rest_at(web.port) as rest:
        rest.offset_ms = -77
        params = {"symbol": "BTCUSDT", "newClientOrderId": "cf.mm:a/b.c_d-1", "price": "60000.10", "note": "a b&c=d+é%"}
        await rest.ask(verb, "/fapi/v1/order", params)
    (asked,) = web.asked
    signed, _, signature = asked.query.partition("&signature=")
    assert signature == HMAC.sign(signed.encode())
    assert dict(parse_qsl(signed)) == {**params, "timestamp": str(NOW_MS - 77), "recvWindow": "5000"}
    assert (asked.verb, asked.body) == (verb, b"")
    assert asked.headers["x-mbx-apikey"] == KEY


async def test_an_ed25519_signature_is_percent_encoded() -> None:
    async with serving() as web, rest_at(web.port, Ed25519Signer(Secret(KEY), PRIVATE)) as rest:
        for number in range(20):  # among so many there are signatures with + and / in them
            await rest.ask("GET", "/fapi/v1/openOrders", {"symbol": f"S{number}"})
    for asked in web.asked:
        signed, _, signature = asked.query.partition("&signature=")
        assert "/" not in signature
        assert "+" not in signature
        PRIVATE.public_key().verify(base64.b64decode(unquote(signature)), signed.encode())
    assert web.connections == 1


async def test_without_a_key_a_signed_call_goes_out_unsigned() -> None:
    async with serving() as web, rest_at(web.port, None) as rest:
        await rest.ask("GET", "/fapi/v1/openOrders", {})
    assert web.asked[0].target == "/fapi/v1/openOrders"
    assert "x-mbx-apikey" not in web.asked[0].headers


async def test_x15_a_proxy_in_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with serving() as proxy, serving() as web, listening(Line.wait_gone) as tls_port:
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password pass")
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with rest_at(web.port) as rest:
            await rest.ask("GET", "/fapi/v1/ping", {})
        async with rest_at(f"https://127.0.0.1:{tls_port}", timeout_s=0.1) as rest:
            with pytest.raises(LinkRefused):
                await rest.ask("GET", "/fapi/v1/openOrders", {})
    assert len(web.asked) == 1
    assert "authorization" not in web.asked[0].headers
    assert proxy.connections == 0


# -- what comes of it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 400, 403, 418, 429, 451, 503])
async def test_every_status_is_an_answer_and_redirects_are_ignored(status: int) -> None:
    body = b'{"code":-1003,"msg":"no"}'
    async with serving() as elsewhere:
        headers = (("Location", f"http://127.0.0.1:{elsewhere.port}/"), ("Retry-After", "9"))
        async with serving(lambda asked: Told(body, status, headers)) as web, rest_at(web.port) as rest:
            answer = await rest.ask("GET", "/fapi/v1/openOrders", {})
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (status, body, "9")
    assert elsewhere.asked == []


def replying(data: bytes) -> Callable[[Line], Awaitable[None]]:
    async def script(line: Line) -> None:
        await line.read_request()
        await line.send(data)

    return script


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (replying(b""), "the answer breaks off, or is not HTTP"),
        (replying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), "the answer breaks off, or is not HTTP"),
        (replying(b"\x16\x03\x01SSH-2.0\r\n\r\n"), "the answer breaks off, or is not HTTP"),
        (replying(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), "the answer breaks off, or is not HTTP"),
        (Line.reset, ""),
    ],
)
async def test_answers_that_are_none(script: Callable[[Line], Awaitable[None]], said: str) -> None:
    async with listening(script) as port, rest_at(port) as rest:
        assert said in await refused(rest)


#: The library leaves one behind of an answer that is not read to its end.
left_behind = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")


@left_behind
async def test_an_answer_that_cannot_be_unpacked() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"
    async with listening(replying(answer)) as port, rest_at(port) as rest:
        assert "unknown or damaged compression" in await refused(rest)
    gc.collect()


@left_behind
async def test_a_packed_answer_is_unpacked_and_an_endless_one_is_not() -> None:
    packed = gzip.compress(b'{"serverTime":1}' + b" " * 10_000)

    def answer(asked: Asked) -> Told:
        assert asked.headers["accept-encoding"] == "gzip"
        return Told(packed, headers=(("Content-Encoding", "gzip"),))

    async with serving(answer) as web, rest_at(web.port) as rest:
        assert (await rest.ask("GET", "/fapi/v1/time", {})).body == gzip.decompress(packed)
        async with rest_at(web.port, longest_answer=10_000) as bounded:
            assert "longer than 10000 bytes" in await refused(bounded)
        packed = b"{}"
        assert "unknown or damaged compression" in await refused(rest)

    async def endless(line: Line) -> None:
        await line.read_request()
        await line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await line.send(b"5\r\nxxxxx\r\n" * 1000)

    async with listening(endless) as port, rest_at(port, longest_answer=10_000) as rest:
        assert "longer than 10000 bytes" in await refused(rest)
    gc.collect()


async def refused(rest: RestClient) -> str:
    """What is said about a signed call that brings no answer."""
    with pytest.raises(LinkRefused) as error:
        await rest.ask("GET", "/fapi/v1/order", {"symbol": "BTCUSDT", "origClientOrderId": "CANARY-ORDER"})
    said = str(error.value)
    assert "\n" not in said
    for secret in (KEY, SECRET, "CANARY", "signature", "/fapi", "?"):
        assert secret not in said
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__
    return said


async def test_a_port_without_listener() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        async with rest_at(port) as rest:
            assert await refused(rest) == f"http://127.0.0.1:{port}: Connection refused"


async def test_a_peer_that_does_not_answer_and_one_that_drips(virtual_clock: MockClock) -> None:
    async def dripping(line: Line) -> None:
        await line.read_request()
        await line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await line.send(b"x")
            await trio.sleep(TIMEOUT_S / 2)

    async with listening(Line.wait_gone) as port, rest_at(port) as rest:
        assert "no answer in time" in await refused(rest)
    assert trio.current_time() == pytest.approx(TIMEOUT_S)
    async with listening(dripping) as port, rest_at(port) as rest:
        assert "no whole answer in time" in await refused(rest)
    assert trio.current_time() == pytest.approx(TIMEOUT_S + CALL_TIMEOUT_S)


async def test_a_certificate_that_is_not_trusted() -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with serving(tls=context) as web:
        async with rest_at(f"https://127.0.0.1:{web.port}") as rest:
            assert "its certificate is not trusted: " in await refused(rest)
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        async with rest_at(f"https://127.0.0.1:{web.port}", tls=trusting) as rest:
            assert (await rest.ask("GET", "/fapi/v1/ping", {})).status == 200
        async with rest_at(f"https://localhost:{web.port}", tls=trusting) as rest:
            assert "Hostname mismatch" in await refused(rest)
    assert len(web.asked) == 1


async def test_a_peer_that_speaks_no_tls() -> None:
    async def script(line: Line) -> None:
        await line.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await line.wait_gone()

    async with listening(script) as port, rest_at(f"https://127.0.0.1:{port}") as rest:
        assert "TLS failed" in await refused(rest)


async def test_x1_no_library_logs_what_is_secret(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving() as web, rest_at(web.port) as rest:
            await rest.ask("GET", "/fapi/v1/openOrders", {})
    assert web.asked[0].headers["x-mbx-apikey"] == KEY
    assert "signature" not in caplog.text
    assert KEY not in caplog.text


# -- for the engine ----------------------------------------------------------------------------------------------------


async def performed(rest: RestClient, *effects: CallRest) -> list[Stamped]:
    inbox = Inbox(lambda: NOW_NS)
    async with trio.open_nursery() as nursery:
        for effect in effects:
            nursery.start_soon(rest.perform, effect, inbox)
    return await inbox.receive()


async def test_every_call_of_the_engine_is_reported_once() -> None:
    def answer(asked: Asked) -> Told:
        return Told(b"[]", 200 if "openOrders" in asked.path else 503)

    async with serving(answer) as web, rest_at(web.port) as rest:
        calls = [CallRest(number, "GET", "/fapi/v1/openOrders", {"symbol": f"S{number}"}) for number in range(30)]
        stamped = await performed(rest, *calls, CallRest(30, "GET", "/fapi/v1/time", {}))
    assert {input_.lane for input_ in stamped} == {Lane.CONTROL}
    answers = {input_.event.call_id: input_.event for input_ in stamped if isinstance(input_.event, RestAnswered)}
    assert sorted(answers) == list(range(31))
    assert all(event.answer is not None and event.sent_ns == NOW_NS for event in answers.values())
    assert web.connections <= 8


async def test_a_call_without_an_answer_says_why() -> None:
    async with listening(Line.reset) as port, rest_at(port) as rest:
        (stamped,) = await performed(rest, CallRest(5, "GET", "/fapi/v1/openOrders", {}))
    assert isinstance(stamped.event, RestAnswered)
    assert stamped.event.answer is None
    assert stamped.event.reason.startswith(f"http://127.0.0.1:{port}: ")
    assert KEY not in stamped.event.reason


async def test_snapshots_are_tapped_and_nothing_else() -> None:
    def answer(asked: Asked) -> Told:
        return Told(asked.query.encode(), 200 if "BTC" in asked.query else 400)

    tapped: list[tuple[str, bytes]] = []
    async with serving(answer) as web, rest_at(web.port) as rest:
        rest.snapshot_taps.append(lambda symbol, body: tapped.append((symbol, body)))
        for number, (path, symbol) in enumerate(
            [
                ("/fapi/v1/depth", "BTCUSDT"),
                ("/fapi/v1/depth", "XUSDT"),
                ("/fapi/v1/rpiDepth", "BTCUSDT"),
                ("/fapi/v1/trades", "BTCUSDT"),
            ]
        ):
            await performed(rest, CallRest(number, "GET", path, {"symbol": symbol}))
    assert tapped == [("BTCUSDT", b"symbol=BTCUSDT")]


async def test_closing_does_not_hang(autojump_clock: MockClock) -> None:
    rest = RestClient("http://127.0.0.1:9", ssl.create_default_context(), lambda: NOW_NS, None, 5000)
    with trio.fail_after(3):
        async with rest:
            pass
