"""The questions before the start, asked of a real server: what it says becomes part of the engine's set-up, or one sentence."""

from __future__ import annotations

import gzip
import json
import re
import ssl
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import trio
import trustme
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from trio.testing import MockClock

from coldframe.config.schema import Config, OrdersTable
from coldframe.core.connectivity.signing import Ed25519Signer, HmacSigner, RsaSigner
from coldframe.enums import PositionMode
from coldframe.errors import AuthenticationRefused, Banned, ColdframeError, ConfigError, VenueUnavailable
from coldframe.runtime.startup import ask_until_answered, check_account, describe_venue, signer_of, tls_context, venue_offset_ms
from coldframe.secret import Secret
from coldframe.text import discreet
from coldframe.trio_io.clock import Clock
from coldframe.trio_io.rest import RestClient
from coldframe.wire.codes import CODES
from tests.conftest import SHARED, needs_shared
from tests.trio_io.peer import PATIENCE_S, Line, listening
from tests.trio_io.web import Answering, Asked, Told, Web, serving

KEY, SECRET = "CANARY-API-KEY-0123456789", "CANARY-SECRET-9876543210"
NONSENSE = [
    b"<html>welcome</html>",
    b"",
    b"[]",
    b"5",
    b'{"serverTime":"soon"}',
    b'{"a":1}',
    b'{"serverTime":1.5}',
    b'{"\xff":1}',
    b"[" * 100_000,
]


#: Pauses between tries that no test waits long for.
SHORT: Final = (0.01, 0.01, 0.01)


@asynccontextmanager
async def venue(answer: Answering | Told, recv_window_ms: int = 5000) -> AsyncIterator[tuple[Web, RestClient, Clock]]:
    """A server that gives these answers, and what asks it."""
    told = answer if callable(answer) else (lambda asked: answer)
    with trio.fail_after(PATIENCE_S):
        async with serving(told) as web:
            clock = Clock()
            signer = HmacSigner(Secret(KEY), Secret(SECRET))
            base, tls = f"http://127.0.0.1:{web.port}", ssl.create_default_context()
            async with RestClient(base, tls, clock.now_ns, signer, recv_window_ms) as rest:
                yield web, rest, clock


def one_sentence(error: ColdframeError) -> str:
    said = str(error)
    assert said.isprintable()
    assert "CANARY" not in said
    assert "signature" not in said
    return said


# -- the venue --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew_ms", [0, -5_000, 60_000])
async def test_the_offset_of_the_venues_clock(skew_ms: int) -> None:
    clocks: list[Clock] = []

    def answer(asked: Asked) -> Told:
        assert asked.path == "/fapi/v1/time"
        return Told(b'{"serverTime":%d}' % (clocks[0].now_ms() + skew_ms))

    async with venue(answer) as (_, rest, clock):
        clocks.append(clock)
        began_ms = clock.now_ms()
        offset_ms = await venue_offset_ms(rest, clock)
        assert abs(offset_ms - skew_ms) <= clock.now_ms() - began_ms


async def test_tries_that_failed_do_not_spoil_the_offset(virtual_clock: MockClock) -> None:
    clocks: list[Clock] = []
    tries: list[Asked] = []

    def answer(asked: Asked) -> Told:
        tries.append(asked)
        return Told(status=503) if len(tries) < 4 else Told(b'{"serverTime":%d}' % clocks[0].now_ms())

    async with venue(answer) as (_, rest, clock):
        clocks.append(clock)
        began_ms = clock.now_ms()
        assert await venue_offset_ms(rest, clock) == 0
        assert clock.now_ms() - began_ms > 1_000
    assert len(tries) == 4


@needs_shared
async def test_what_the_venue_says_about_itself() -> None:
    body = gzip.decompress((SHARED / "data/exchangeinfo_2021-07-21.json.gz").read_bytes())
    async with venue(Told(body)) as (_, rest, clock):
        described = await describe_venue(rest, clock)
    assert described.body == body
    assert "BTCUSDT" in described.instruments
    assert [row.limit for row in described.rate_limits] == [2400, 1200, 300]


@pytest.mark.parametrize("body", NONSENSE, ids=lambda body: f"{len(body)} bytes")
async def test_what_is_no_exchange(body: bytes) -> None:
    async with venue(Told(body)) as (web, rest, clock):
        for question in (venue_offset_ms, describe_venue):
            with pytest.raises(VenueUnavailable, match="does not answer as an exchange") as refused:
                await question(rest, clock)
            one_sentence(refused.value)
            assert refused.value.exit_code == 69
    assert len(web.asked) == 2


@pytest.mark.parametrize(
    ("answer", "until_after_ms"),
    [
        # In the year 2030: a ban of more than three days is not believed.
        (Told(b'{"code":-1003,"msg":"IP banned until %d."}' % 1_900_000_000_000, 418), 3 * 86_400_000),
        (Told(b"", 418, (("Retry-After", "90"),)), 90_000),
        (Told(b"slow down", 429, (("Retry-After", "3"),)), 3_000),
        (Told(b"", 418), 120_000),
    ],
)
async def test_a_ban_is_heeded_at_once(answer: Told, until_after_ms: int) -> None:
    async with venue(answer) as (web, rest, clock):
        for question in (venue_offset_ms, describe_venue, check_account):
            with pytest.raises(Banned, match=r"banned for another \d+ s; try again after that") as refused:
                await question(rest, clock)
            one_sentence(refused.value)
            assert abs(refused.value.until_ms - clock.now_ms() - until_after_ms) < 1_000
            assert refused.value.exit_code == 75
    assert len(web.asked) == 3


@pytest.mark.parametrize("status", [301, 403, 404, 451, 500, 503])
async def test_venue_that_refuses_service_is_given_up_after_four_tries(status: int) -> None:
    async with venue(Told(b'{"code":-1016,"msg":"This service is no longer\\u001b[2J available."}', status)) as (web, rest, clock):
        with pytest.raises(VenueUnavailable, match=f"status {status}: This service is no longer") as refused:
            await ask_until_answered(rest, clock, "/fapi/v1/time", SHORT)
        one_sentence(refused.value)
    assert len(web.asked) == 4
    async with venue(Told(b"", status)) as (_, rest, clock):
        with pytest.raises(VenueUnavailable, match=f"status {status}$"):
            await ask_until_answered(rest, clock, "/fapi/v1/time", SHORT)


async def test_a_venue_that_comes_back_in_time() -> None:
    tries: list[Asked] = []

    def answer(asked: Asked) -> Told:
        tries.append(asked)
        return Told(b"{}", 200 if len(tries) == 3 else 502)

    async with venue(answer) as (_, rest, clock):
        assert (await ask_until_answered(rest, clock, "/fapi/v1/time", SHORT)).body == b"{}"


async def test_a_venue_that_cannot_be_reached() -> None:
    tries = 0

    async def script(line: Line) -> None:
        nonlocal tries
        tries += 1
        await line.reset()

    clock = Clock()
    with trio.fail_after(PATIENCE_S):
        async with listening(script) as port:
            base = f"http://127.0.0.1:{port}"
            async with RestClient(base, ssl.create_default_context(), clock.now_ns, None, 5000) as rest:
                with pytest.raises(VenueUnavailable, match=f"the venue cannot be reached: {base}: ") as refused:
                    await venue_offset_ms(rest, clock, SHORT)
                one_sentence(refused.value)
                with pytest.raises(VenueUnavailable, match="the venue cannot be reached"):
                    await check_account(rest, clock)
    assert tries == 5


# -- the account ------------------------------------------------------------------------------------------------------


def account(**changes: object) -> Told:
    body = {"feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "dualSidePosition": False}
    return Told(json.dumps({**body, "multiAssetsMargin": False, "tradeGroupId": -1, "updateTime": 0, **changes}).encode())


async def test_an_account_that_may_trade() -> None:
    async with venue(account()) as (web, rest, clock):
        await check_account(rest, clock)
    assert web.asked[0].path == "/fapi/v1/accountConfig"
    assert web.asked[0].headers["x-mbx-apikey"] == KEY


@pytest.mark.parametrize("mode", PositionMode)
async def test_o22_position_mode_of_the_account_must_be_the_configured(mode: PositionMode) -> None:
    async with venue(account(dualSidePosition=mode is PositionMode.HEDGE)) as (_, rest, clock):
        await check_account(rest, clock, mode)
        (other,) = set(PositionMode) - {mode}
        with pytest.raises(ConfigError) as refused:
            await check_account(rest, clock, other)
    said = one_sentence(refused.value)
    assert refused.value.exit_code == 78
    assert f'position_mode is "{other}"' in said
    assert "-4061" in said


async def test_g14_an_account_in_multi_assets_mode_is_refused_with_78() -> None:
    async with venue(account(multiAssetsMargin=True, dualSidePosition=True)) as (_, rest, clock):
        with pytest.raises(ConfigError) as refused:
            await check_account(rest, clock)
    assert refused.value.exit_code == 78
    assert ["hedge mode" in refused.value.findings[0], "multi-assets" in refused.value.findings[1]] == [True, True]


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (Told(b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}', 401), AuthenticationRefused, "-2015"),
        (Told(b'{"code":-2014,"msg":"API-key format invalid."}', 400), AuthenticationRefused, "check orders.api_key"),
        (Told(b'{"code":-1022,"msg":"Signature for this request is not valid."}', 400), AuthenticationRefused, "-1022"),
        (Told(b"<html>no</html>", 403), AuthenticationRefused, "<html>no</html>"),
        (account(canTrade=False), AuthenticationRefused, "may not trade"),
        (account(dualSidePosition=True), ConfigError, "hedge mode"),
        (account(multiAssetsMargin=True), ConfigError, "multi-assets mode"),
        (Told(b'{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}', 400), VenueUnavailable, "-1021"),
        (Told(b'{"code":-1001,"msg":"Internal error; unable to process\\u001b[2J"}', 503), VenueUnavailable, "-1001"),
        (Told(b"", 500), VenueUnavailable, "does not report the account"),
        (Told(b"<html>"), VenueUnavailable, "cannot be read"),
        (Told(b'{"canTrade":"yes"}'), VenueUnavailable, "cannot be read"),
    ],
)
async def test_an_account_that_cannot_be_used(answer: Told, kind: type[ColdframeError], said: str) -> None:
    async with venue(answer) as (_, rest, clock):
        with pytest.raises(kind) as refused:
            await check_account(rest, clock)
    assert said in one_sentence(refused.value)
    assert refused.value.exit_code == {AuthenticationRefused: 77, ConfigError: 78, VenueUnavailable: 69}[kind]


TOO_OLD = Told(b'{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}', 400)


async def test_c6_a_receive_window_too_small_for_the_way_is_named(mock_clock: MockClock) -> None:
    """The way takes longer than a request may be old: the key, and a value that suffices."""

    def answer(asked: Asked) -> Told:
        mock_clock.jump(0.1)
        return TOO_OLD

    async with venue(answer, recv_window_ms=50) as (_, rest, clock):
        with pytest.raises(ConfigError) as refused:
            await check_account(rest, clock)
    said = one_sentence(refused.value)
    assert refused.value.exit_code == 78
    assert re.match(r"orders.recv_window_ms: round trip to the venue is 0\.1 s; 50 is too small", said)
    assert "-1021" in said
    assert said.endswith(": set it to 5000")


async def test_x2_startup_errors_show_neither_key_nor_signature() -> None:
    """Not in its text, nor in the traceback: the query was signed, the header held the key, and the venue says both back."""
    said: dict[str, str] = {}

    def answer(asked: Asked) -> Told:
        echoed = f"{asked.target} X-MBX-APIKEY: {asked.headers['x-mbx-apikey']}"
        assert "signature=" in echoed
        assert KEY in echoed
        return Told(json.dumps({"code": code, "msg": f"no: {echoed}"}).encode(), 400)

    async with venue(answer) as (_, rest, clock):
        for code in CODES:
            try:
                await check_account(rest, clock)
            except ColdframeError as error:
                said[str(code)] = "".join(traceback.format_exception(error))
    assert len(said) == len(CODES)
    for code, text in said.items():
        assert str(code) in text
        assert "accountConfig?" in text, "it was echoed"
        assert not any(KEY[at : at + 8] in text for at in range(len(KEY) - 7))
        assert re.search(r"signature=(?!\.\.\.)", text) is None


def test_x2_what_the_venue_says_in_earnest_is_shown_as_it_is() -> None:
    for code in CODES.values():
        assert [discreet(text) for text in code.texts] == list(code.texts)


# -- keys and trust ---------------------------------------------------------------------------------------------------


def orders(**keys: str) -> Config:
    return Config(config_version=1, name="bot", orders=OrdersTable(mode="live", api_key="env:KEY", **keys))


def pem(key: object, password: bytes | None = None) -> str:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()  # type: ignore[attr-defined, no-any-return]


def test_g9_keys_of_every_kind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.setenv("SECRET", f" {SECRET}\n")
    shared = signer_of(orders(secret="env:SECRET"), tmp_path)
    assert isinstance(shared, HmacSigner)
    assert shared.api_key.reveal() == KEY
    assert shared.sign(b"x") == HmacSigner(Secret(""), Secret(SECRET)).sign(b"x")
    path = tmp_path / "key.pem"
    for key, kind in ((Ed25519PrivateKey.generate(), Ed25519Signer), (generate_rsa(65537, 2048), RsaSigner)):
        path.write_text(pem(key))
        path.chmod(0o600)
        assert isinstance(signer_of(orders(private_key="file:key.pem"), tmp_path), kind)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: "CANARY no key", "not a private key in PEM form"),
        (lambda: pem(Ed25519PrivateKey.generate(), b"CANARY"), "the private key is encrypted"),
        (lambda: pem(generate_private_key(SECP256R1())), "the venue knows Ed25519 and RSA"),
    ],
)
def test_g9_keys_that_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: Callable[[], str], said: str) -> None:
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.setenv("PEM", content())
    with pytest.raises(ConfigError, match=said) as refused:
        signer_of(orders(private_key="env:PEM"), tmp_path)
    assert one_sentence(refused.value).startswith("orders.private_key: ")


def test_g7_a_key_that_others_can_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KEY", KEY)
    (tmp_path / "key.pem").write_text(pem(Ed25519PrivateKey.generate()))
    (tmp_path / "key.pem").chmod(0o640)
    with pytest.raises(ConfigError, match="can be read by others"):
        signer_of(orders(private_key="file:key.pem"), tmp_path)


def test_trust_can_be_extended_and_never_switched_off(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    for context in (tls_context(None), tls_context(str(path))):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
    path.write_text("no certificate")
    for bad in (path, tmp_path / "none.pem"):
        with pytest.raises(ConfigError, match="is not a certificate authority in PEM form"):
            tls_context(str(bad))
