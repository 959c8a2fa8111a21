"""A link that cannot be opened: every way in which it can go wrong ends in one sentence, soon, and with nothing left open."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Callable

import pytest
import trio
import trustme
from trio.testing import MockClock

from coldframe.errors import Banned, LinkDropped, LinkRefused
from coldframe.trio_io.error_text import first_error
from coldframe.trio_io.link import USUAL, LinkAddress, LinkLimits, open_stream, open_websocket, read
from tests.trio_io.peer import PATIENCE_S, Line, acceptance, close, frame, listening, text

NOW_MS = 1_700_000_000_000
HOST = "127.0.0.1"
#: A client that gives a connection up soon.
HASTY = LinkLimits(connect_s=0.2)


def here(port: int, path: str = "/public/stream", tls: ssl.SSLContext | None = None) -> LinkAddress:
    return LinkAddress(HOST, port, path, tls)


async def refusal(address: LinkAddress, limits: LinkLimits = USUAL) -> LinkRefused | Banned:
    """What comes of opening a link that must not open: one sentence that names where it led."""
    with trio.fail_after(PATIENCE_S):
        try:
            async with open_websocket(address, lambda: NOW_MS, lambda batch: None, limits):
                raise AssertionError("it is open")
        except (LinkRefused, Banned) as error:
            said = str(error)
            assert said.startswith(f"{address}: ")
            assert "\n" not in said
            assert said.isprintable()
            return error


# -- addresses --------------------------------------------------------------------------------------------------------


def test_addresses() -> None:
    tls = ssl.create_default_context()
    secure = LinkAddress.of("wss://fstream.example/private/ws/SECRET?events=A/B", tls)
    assert (secure.host, secure.port, secure.path, secure.tls) == ("fstream.example", 443, "/private/ws/SECRET?events=A/B", tls)
    plain = LinkAddress.of("ws://[::1]:8080", tls)
    assert (plain.host, plain.port, plain.path, plain.tls) == ("::1", 8080, "/", None)
    assert "SECRET" not in repr(secure)
    assert str(secure) == "fstream.example:443"


@pytest.mark.parametrize(
    "url", ["http://h/SECRET", "h:80/SECRET", "ws:///SECRET", "ws://h:99999/SECRET", "ws://h/SECRET x", "ws://h/é"]
)
def test_what_is_no_address_is_refused_without_its_path(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        LinkAddress.of(url, ssl.create_default_context())
    assert "SECRET" not in str(refused.value)


# -- before TLS -------------------------------------------------------------------------------------------------------


async def test_n3_a_port_without_listener() -> None:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
        said = await refusal(here(port))
    assert str(said) == f"{HOST}:{port}: Connection refused"


class NoNames(trio.abc.HostnameResolver):
    """Knows no name, or never answers."""

    def __init__(self, answers: bool) -> None:
        self.answers = answers

    async def getaddrinfo(self, *_: object, **__: object) -> list[object]:  # type: ignore[override]
        if not self.answers:
            await trio.sleep_forever()
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def getnameinfo(self, *_: object) -> tuple[str, str]:  # type: ignore[override]
        raise NotImplementedError


async def test_n1_an_unknown_host_name() -> None:
    trio.socket.set_custom_hostname_resolver(NoNames(answers=True))
    said = await refusal(LinkAddress("fstream.example", 443, "/", ssl.create_default_context()))
    assert str(said) == "fstream.example:443: Name or service not known"


async def test_n1_a_name_server_that_does_not_answer(autojump_clock: MockClock) -> None:
    trio.socket.set_custom_hostname_resolver(NoNames(answers=False))
    began = trio.current_time()
    with pytest.raises(LinkRefused, match=r"^fstream\.example:443: no connection within 10 s$"):
        await open_stream(LinkAddress("fstream.example", 443, "/"))
    assert trio.current_time() - began == pytest.approx(USUAL.connect_s)


async def test_n4_a_connection_that_hangs() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind((HOST, 0))
        full.listen(0)
        for opened in (first, second):  # the queue of those who wait is full from here on
            opened.setblocking(False)
            opened.connect_ex(full.getsockname())
        said = await refusal(here(full.getsockname()[1]), HASTY)
    assert "no connection within" in str(said)


# -- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


def trusting(authority: trustme.CA | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if authority is not None:
        authority.configure_trust(context)
    return context


def days(number: int) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=number)


async def test_a_good_certificate(authority: trustme.CA) -> None:
    async def script(line: Line) -> None:
        await line.accept()
        await line.send(text("hello"))
        await line.wait_gone()

    heard: list[bytes] = []
    news = trio.Event()

    def take(batch: list[bytes]) -> None:
        heard.extend(batch)
        news.set()

    with trio.fail_after(PATIENCE_S):
        async with (
            listening(script, serving(authority.issue_cert(HOST))) as port,
            open_websocket(here(port, tls=trusting(authority)), lambda: NOW_MS, take),
        ):
            await news.wait()
    assert heard == [b"hello"]


Issue = Callable[[trustme.CA], trustme.LeafCert]


@pytest.mark.parametrize(
    ("issue", "said"),
    [
        pytest.param(lambda ca: ca.issue_cert("other.example"), "IP address mismatch", id="another host"),
        pytest.param(lambda ca: trustme.CA().issue_cert(HOST), "unable to get local issuer", id="an unknown authority"),
        pytest.param(lambda ca: ca.issue_cert(HOST, not_before=days(-20), not_after=days(-10)), "has expired", id="expired"),
        pytest.param(lambda ca: ca.issue_cert(HOST, not_before=days(10)), "not yet valid", id="not yet valid"),
        pytest.param(lambda ca: ca.create_child_ca().issue_cert("*.example"), "mismatch", id="a wildcard for others"),
    ],
)
async def test_n5_bad_certificates(authority: trustme.CA, issue: Issue, said: str) -> None:
    asked: list[bytes] = []

    async def script(line: Line) -> None:
        asked.append(await line.read_request())

    async with listening(script, serving(issue(authority))) as port:
        error = await refusal(here(port, tls=trusting(authority)))
    assert "its certificate is not trusted: " in str(error)
    assert said in str(error)
    assert asked == []


async def test_certificate_of_the_system_store_alone_is_not_trusted(authority: trustme.CA) -> None:
    async with listening(Line.accept, serving(authority.issue_cert(HOST))) as port:
        assert "its certificate is not trusted" in str(await refusal(here(port, tls=trusting(None))))


async def test_a_peer_that_speaks_no_tls() -> None:
    async def script(line: Line) -> None:
        await line.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await line.wait_gone()

    async with listening(script) as port:
        assert "TLS failed: " in str(await refusal(here(port, tls=trusting(None))))


async def test_a_tls_handshake_that_ends_or_never_does() -> None:
    async with listening(Line.reset) as port:
        await refusal(here(port, tls=trusting(None)))
    async with listening(Line.wait_gone) as port:
        assert "no connection within 0.2 s" in str(await refusal(here(port, tls=trusting(None)), HASTY))


# -- the WebSocket handshake ------------------------------------------------------------------------------------------


def answering(answer: bytes, *, stays: bool = False) -> Callable[[Line], object]:
    """A peer that answers the handshake with these bytes, and then goes or stays."""

    async def script(line: Line) -> None:
        await line.read_request()
        await line.send(answer)
        if stays:
            await line.wait_gone()

    return script


def http(status: str, body: bytes = b"", *headers: str, length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(body)}"] if length else [])]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


PAGE = b"<html>\r\n<h1>\x1b[31mForbidden</h1>" + b"x" * 1000


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http("301 Moved", b"", "Location: https://evil.example/"), "status 301"),
        (http("403 Forbidden", PAGE), "status 403 <html>  <h1> [31mForbidden</h1>xxx"),
        (http("503 Service Unavailable", b'{"code":-1008,"msg":"busy"}'), 'status 503 {"code":-1008,"msg":"busy"}'),
        (http("200 OK", b"welcome"), "status 200 welcome"),
        (http("400 Bad Request", b"5\r\nwrong\r\n0\r\n\r\n", "Transfer-Encoding: chunked", length=False), "status 400 wrong"),
        (http("404 Not Found", b"until the end", length=False), "status 404 until the end"),
        (http("404 Not Found", b"cut off")[:-3], "status 404 cut"),
        (http("100 Continue", length=False), "status 100"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "no WebSocket handshake"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "no WebSocket handshake"),
        (b"\x16\x03\x01\x00\xff\xfe\n\n", "no WebSocket handshake"),
        (b"HTTP/1.1 4", "no WebSocket handshake"),
        (b"", "no WebSocket handshake"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"y" * 100_000, "no WebSocket handshake"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "answered",
)
async def test_w21_other_answers_to_the_handshake(answer: bytes, said: str) -> None:
    async with listening(answering(answer)) as port:
        error = await refusal(here(port))
    assert isinstance(error, LinkRefused)
    assert said in str(error)
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    "spoil",
    [
        lambda good: good.replace(b"Accept: ", b"Accept: x"),
        lambda good: good.replace(b"Upgrade: websocket\r\n", b""),
        lambda good: good.replace(b"Connection: Upgrade\r\n", b""),
        lambda good: good[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        lambda good: good[:-2] + b"Sec-WebSocket-Extensions: \xff\r\n\r\n",
        lambda good: good[:-2] + b"Sec-WebSocket-Protocol: \xff\r\n\r\n",
        lambda good: good[:-2] + b"Sec-WebSocket-Protocol: other\r\n\r\n",
        lambda good: good[:-2] + b"Bad Header\r\n\r\n",
    ],
)
@pytest.mark.parametrize("stays", [False, True])
async def test_a_handshake_that_is_almost_one(spoil: Callable[[bytes], bytes], stays: bool) -> None:
    async def script(line: Line) -> None:
        await line.send(spoil(acceptance(await line.read_request())))
        if stays:
            await line.wait_gone()

    async with listening(script) as port:
        assert "no WebSocket handshake" in str(await refusal(here(port)))


async def test_a_handshake_that_is_never_answered() -> None:
    async with listening(answering(b"", stays=True)) as port:
        assert "no WebSocket handshake" in str(await refusal(here(port), HASTY))
    async with listening(answering(http("503 Busy", b"slow", length=False), stays=True)) as port:
        assert "status 503 slow" in str(await refusal(here(port), HASTY))


UNTIL = NOW_MS + 90_000
BANNED = b'{"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until %d. Please use the websocket."}' % UNTIL


@pytest.mark.parametrize(
    ("answer", "until_ms"),
    [
        (http("418 I'm a teapot", BANNED), UNTIL),
        (http("418 I'm a teapot", BANNED, "Retry-After: 5"), UNTIL),
        (http("418 I'm a teapot", BANNED, length=False), UNTIL),
        (http("418 I'm a teapot", BANNED)[:-20], UNTIL),
        (http("418 I'm a teapot", b"", "Retry-After: 33"), NOW_MS + 33_000),
        (http("418 I'm a teapot"), NOW_MS + 120_000),
        (http("429 Too Many Requests", b"slow down", "Retry-After: 7"), NOW_MS + 7_000),
        (http("429 Too Many Requests", b"slow down"), NOW_MS + 60_000 - NOW_MS % 60_000),
    ],
)
async def test_a_ban_says_until_when(answer: bytes, until_ms: int) -> None:
    async with listening(answering(answer)) as port:
        error = await refusal(here(port))
    assert isinstance(error, Banned)
    assert error.until_ms == until_ms


async def test_x2_a_listen_key_is_not_repeated() -> None:
    key = "k" * 30 + "Z9" * 17
    for body in (f"no listenKey {key}".encode(), b"/private/ws/" + key.encode() * 5, b"x" * 190 + key.encode()):
        async with listening(answering(http("403 Forbidden", body))) as port:
            said = str(await refusal(here(port, f"/private/ws/{key}?events=ORDER_TRADE_UPDATE")))
        assert not any(key[at : at + 8] in said for at in range(len(key) - 8))


async def test_a_link_that_is_closed_as_soon_as_it_is_open_says_why() -> None:
    async def script(line: Line) -> None:
        await line.send(acceptance(await line.read_request()) + text("first") + close(1008, "Too many requests"))
        await line.wait_gone()

    heard: list[bytes] = []
    async with listening(script) as port:
        with trio.fail_after(PATIENCE_S), pytest.raises(ExceptionGroup) as ended:
            async with open_websocket(here(port), lambda: NOW_MS, heard.extend) as opened:
                await read(opened, heard.extend)
    error = first_error(ended.value)
    assert isinstance(error, LinkDropped)
    assert error.code == 1008
    assert heard == [b"first"]


# -- cut at every byte ------------------------------------------------------------------------------------------------

FRAMES = [text("one"), text("the second"), frame(0x9, b"?"), text("3")]


@pytest.mark.parametrize("hard", [False, True], ids=["an end", "a reset"])
async def test_n6_cut_at_every_byte_of_a_handshake_and_some_frames(hard: bool) -> None:
    length = len(acceptance(b"Sec-WebSocket-Key: 0123456789abcdef01234==")) + len(b"".join(FRAMES))
    place = 0

    async def script(line: Line) -> None:
        sent = acceptance(await line.read_request()) + b"".join(FRAMES)
        assert len(sent) == length
        await line.send(sent[:place])
        if hard:
            await line.reset()

    with trio.fail_after(30):
        async with listening(script) as port:
            for place in range(length):
                heard, error = await listen_until_cut(port)
                begun = length - len(b"".join(FRAMES))
                assert isinstance(error, LinkRefused if place < begun else LinkDropped), place
                whole = whole_texts(place - begun)
                assert heard == whole[: len(heard)]
                assert hard or heard == whole


async def listen_until_cut(port: int) -> tuple[list[bytes], BaseException]:
    heard: list[bytes] = []
    try:
        async with open_websocket(here(port), lambda: NOW_MS, heard.extend) as opened:
            await read(opened, heard.extend)
    except (LinkRefused, ExceptionGroup) as error:
        return heard, first_error(error)
    raise AssertionError


def whole_texts(size: int) -> list[bytes]:
    """The texts among the first `size` bytes of the frames."""
    whole, at = [], 0
    for message in FRAMES:
        at += len(message)
        if at <= size and message[0] == 0x81:
            whole.append(message[2:])
    return whole
