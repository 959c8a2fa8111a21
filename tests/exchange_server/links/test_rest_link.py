"""REST over sockets: the forms that clients in wide use send, kept-alive connections, TLS, odd requests."""

from __future__ import annotations

import hashlib
import hmac
import ssl
import subprocess
import sys
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
import trio
import trustme
from trio.testing import MockClock

from coldframe.config.venue import VenueAccount, VenueFaults
from coldframe.errors import ConfigError, VenueUnavailable
from coldframe.exchange_server import Address, EmbeddedVenue
from coldframe.exchange_server.key_files import keys_for
from tests.exchange_server.links.cable import EVERY, Rest, Settings, running, serving, wall_ms

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "59000.0"}


async def test_public_calls_on_one_connection() -> None:
    async with running(symbols=EVERY) as (venue, address), Rest(address) as rest:
        for number in range(1, 4):
            answer = await rest.raw("GET", "/fapi/v1/time")
            assert answer.headers["x-mbx-used-weight-1m"] == str(number)
            assert abs(answer.json()["serverTime"] - wall_ms()) < 1000
        info = await rest.get("/fapi/v1/exchangeInfo")
        assert tuple(row["symbol"] for row in info["symbols"]) == venue.symbols()
        assert "币安人生USDT" in venue.symbols()
        book = await rest.get("/fapi/v1/depth", symbol="币安人生USDT", limit=5)
        assert len(book["bids"]) == 5


@pytest.mark.parametrize("form", ["query", "body", "mixed"])
async def test_order_parameters_in_query_or_body_signed_as_sent(form: str) -> None:
    async with running() as (_, address), Rest(address) as rest:
        for verb, params in (
            ("POST", ORDER | {"newClientOrderId": "one"}),
            ("DELETE", {"symbol": "BTCUSDT", "origClientOrderId": "one"}),
        ):
            if form == "query":
                answer = await rest.raw(verb, "/fapi/v1/order", rest.sign(params))
            elif form == "body":
                answer = await rest.raw(verb, "/fapi/v1/order", body=rest.sign(params))
            else:
                answer = await rest.raw(verb, "/fapi/v1/order", *_mixed(rest, params))
            assert answer.status_code == 200, answer.text
            assert answer.json()["clientOrderId"] == "one"


def _mixed(rest: Rest, params: dict[str, str]) -> tuple[str, str]:
    names = list(params)
    query = urlencode({name: params[name] for name in names[:1]})
    body = urlencode({name: params[name] for name in names[1:]} | {"timestamp": wall_ms()})
    signature = hmac.new(rest.keys.hmac_secret.encode(), (query + body).encode(), hashlib.sha256).hexdigest()
    return query, f"{body}&signature={signature}"


async def test_order_counts_and_codes_on_the_wire() -> None:
    async with running() as (_, address), Rest(address) as rest:
        answer = await rest.raw("POST", "/fapi/v1/order", rest.sign(ORDER))
        assert answer.headers["x-mbx-order-count-10s"] == "1"
        refused = await rest.raw("POST", "/fapi/v1/order", rest.sign(ORDER | {"price": "1"}))
        assert (refused.status_code, refused.json()["code"]) == (400, -4013)
        refused = await rest.raw("POST", "/fapi/v1/listenKey")
        assert refused.status_code == 200
        assert (await rest.raw("GET", "/fapi/v9/nothing")).status_code == 404
        other = Rest(address)
        other.keys = rest.keys.__class__("x", "0" * 64, "0", "0" * 64, b"", None)
        assert (await other.raw("POST", "/fapi/v1/listenKey")).status_code == 401
        await other.__aexit__()


async def test_accounts_do_not_see_each_other() -> None:
    accounts = [VenueAccount(name="one"), VenueAccount(name="two")]
    async with running(accounts=accounts) as (_, address), Rest(address, 0) as first, Rest(address, 1) as second:
        order = await first.call("POST", "/fapi/v1/order", **ORDER)
        assert (await second.call("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"]))["code"] == -2013
        assert len(await first.call("GET", "/fapi/v1/openOrders")) == 1


async def test_a_venue_with_a_certificate_speaks_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    files = {"tls_certificate": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with running(**files) as (_, address):
        assert address.rest.startswith("https://")
        async with httpx2.AsyncClient(verify=trusting) as client:
            assert (await client.get(address.rest + "/fapi/v1/ping")).json() == {}
        with pytest.raises(httpx2.HTTPError):
            async with httpx2.AsyncClient() as client:
                await client.get(f"http://127.0.0.1:{address.port}/fapi/v1/ping")
        async with httpx2.AsyncClient(verify=trusting) as client:
            assert (await client.get(address.rest + "/fapi/v1/ping")).json() == {}


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"POST /fapi/v1/order HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5000000\r\n\r\n" + b"x" * 1_100_000,
        b"GET //[ HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\n\r\n",
        b"GET /fapi/v1/order?%ff=%ff&timestamp=%00 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"",
    ],
)
async def test_odd_requests_leave_the_server_running(request_bytes: bytes, virtual_clock: MockClock) -> None:
    async with running() as (_, address), Rest(address) as rest:
        stream = await trio.open_tcp_stream("127.0.0.1", address.port)
        with trio.move_on_after(3):
            try:
                await stream.send_all(request_bytes)
                await stream.send_eof()
                while await stream.receive_some():
                    pass
            except (trio.BrokenResourceError, OSError):
                pass
        await trio.aclose_forcefully(stream)
        assert await rest.get("/fapi/v1/ping") == {}


async def _said(address: Address, sent: bytes) -> bytes:
    """All that comes back on one connection, to its end."""
    stream = await trio.open_tcp_stream("127.0.0.1", address.port)
    said = b""
    with trio.fail_after(5):
        await stream.send_all(sent)
        while part := await stream.receive_some():
            said += part
    await trio.aclose_forcefully(stream)
    return said


@pytest.mark.parametrize("upgrade", [b"", b"upgrade: websocket\r\n"])
@pytest.mark.parametrize(("path", "status"), [(b"/fapi/v1/ping", b"200"), (b"/ws/btcusdt@trade", b"404"), (b"/none", b"404")])
async def test_head_is_answered_with_the_head_alone(path: bytes, status: bytes, upgrade: bytes) -> None:
    async with running() as (_, address), Rest(address) as rest:
        said = await _said(address, b"HEAD %s HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n%s\r\n" % (path, upgrade))
        head, _, body = said.partition(b"\r\n\r\n")
        assert (head.split()[1], body) == (status, b"")
        assert b"content-length: 0" not in head
        assert await rest.get("/fapi/v1/ping") == {}


async def test_a_connection_goes_on_after_head() -> None:
    async with running() as (_, address):
        head = b"HEAD /fapi/v1/ping HTTP/1.1\r\nhost: localhost\r\n\r\n"
        said = await _said(address, head * 2 + b"GET /fapi/v1/ping HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        assert (said.count(b"HTTP/1.1 200"), said.count(b"{}")) == (3, 1)


@pytest.mark.parametrize("verb", [b"POST", b"HEAD"])
@pytest.mark.parametrize(
    "rest_of_it",
    [
        b" / HTTP/1.1\r\n\r\n",
        b" / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nnot a size\r\n",
        b" / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\n\r\n",
        b" /\xe5\xb8\x81 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b" /ws HTTP/1.1\r\nupgrade: websocket\r\n\r\n",
        b" nonsense\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_told_so(verb: bytes, rest_of_it: bytes) -> None:
    async with running() as (_, address), Rest(address) as rest:
        assert (await _said(address, verb + rest_of_it)).startswith(b"HTTP/1.1 400 ")
        assert await rest.get("/fapi/v1/ping") == {}


async def test_a_port_in_use_is_one_sentence() -> None:
    async with running() as (_, address):
        second = EmbeddedVenue(Settings(port=address.port), wall_ms=wall_ms)
        with pytest.raises(VenueUnavailable, match=f"port {address.port} is already in use"):
            await second.serve()


async def test_a_certificate_that_is_none_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("")
    with pytest.raises(ConfigError, match="tls_certificate"):
        EmbeddedVenue(Settings(tls_certificate=str(tmp_path / "x.pem"), tls_key=str(tmp_path / "x.pem")), wall_ms=wall_ms)


async def test_a_clock_that_is_off_shows_and_a_ban_holds() -> None:
    async with running(faults=VenueFaults(clock_skew_ms=5500)) as (_, address), Rest(address) as rest:
        assert 4000 < (await rest.get("/fapi/v1/time"))["serverTime"] - wall_ms() < 6000
        assert (await rest.call("GET", "/fapi/v3/account"))["code"] == -1021
    async with running(faults=VenueFaults(banned_for_s=60)) as (_, address), Rest(address) as rest:
        answer = await rest.raw("GET", "/fapi/v1/time")
        assert (answer.status_code, answer.json()["code"]) == (418, -1003)
        assert 50 < int(answer.headers["retry-after"]) <= 60


_SERVE = """
import sys, trio
from tests.exchange_server.links.cable import EVERY, Settings, wall_ms
from coldframe.exchange_server import EmbeddedVenue

async def main():
    venue = EmbeddedVenue(Settings(state_dir=sys.argv[1], keys_dir=sys.argv[2], port=int(sys.argv[3])), wall_ms=wall_ms)
    async with trio.open_nursery() as nursery:
        address = await nursery.start(venue.serve)
        print(address.port, flush=True)

trio.run(main)
"""


async def test_accounts_outlive_a_killed_venue(tmp_path: Path) -> None:
    files = {"state_dir": str(tmp_path / "state"), "keys_dir": str(tmp_path / "keys")}
    command = [sys.executable, "-c", _SERVE, *files.values(), "0"]
    async with trio.open_nursery() as nursery:
        first = await nursery.start(partial(trio.run_process, command, stdout=subprocess.PIPE, check=False))
        assert first.stdout is not None
        with trio.fail_after(20):
            port = int(await first.stdout.receive_some(100))
        place = f"127.0.0.1:{port}"
        address = Address(f"http://{place}", f"ws://{place}", "", keys_for(["main"], files["keys_dir"]), port)
        async with Rest(address) as rest:
            order = await rest.call("POST", "/fapi/v1/order", **ORDER)
            first.kill()
    async with running(**files) as (_, address), Rest(address) as rest:
        assert [row["orderId"] for row in await rest.call("GET", "/fapi/v1/openOrders")] == [order["orderId"]]


async def test_accounts_outlive_their_venue(tmp_path: Path) -> None:
    files = {"state_dir": str(tmp_path / "state"), "keys_dir": str(tmp_path / "keys")}
    async with running(**files) as (_, address), Rest(address) as rest:
        order = await rest.call("POST", "/fapi/v1/order", **ORDER)
        await rest.call("POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
        before = await rest.get("/fapi/v1/ticker/price", symbol="BTCUSDT")
    venue = EmbeddedVenue(Settings(**files), wall_ms=wall_ms)  # type: ignore[arg-type]
    async with serving(venue) as address, Rest(address) as rest:
        assert [row["orderId"] for row in await rest.call("GET", "/fapi/v1/openOrders")] == [order["orderId"]]
        (position,) = await rest.call("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT")
        assert position["positionAmt"] == "0.010"
        after = await rest.get("/fapi/v1/ticker/price", symbol="BTCUSDT")
        assert abs(float(after["price"]) - float(before["price"])) < 30
