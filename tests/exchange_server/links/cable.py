"""A client of the venue over real sockets: signed REST calls, the WebSocket API, streams."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx2
import msgspec
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from trio.testing import MockClock
from trio_websocket import WebSocketConnection, wrap_client_stream

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.exchange_server import Address, EmbeddedVenue
from coldframe.wire.requests import text_of
from tests.trio_io.peer import PATIENCE_S

#: What `symbols` says where a venue has everything that it can have.
EVERY: list[str] = []


_BEGAN_MS: Final = time.time_ns() // 1_000_000


def wall_ms() -> int:
    """The wall clock, or on virtual time what has passed of that since the tests began."""
    clock = trio.lowlevel.current_clock() if trio.lowlevel.in_trio_run() else None
    return _BEGAN_MS + int(clock.current_time() * 1000) if isinstance(clock, MockClock) else time.time_ns() // 1_000_000


@asynccontextmanager
async def running(**settings: object) -> AsyncIterator[tuple[EmbeddedVenue, Address]]:
    """A venue that listens, until the block ends. Unless told otherwise it has one symbol: the others only cost time."""
    chosen = settings if "recording" in settings else {"symbols": ["BTCUSDT"]} | settings
    venue = EmbeddedVenue(Settings(**chosen), wall_ms=wall_ms)  # type: ignore[arg-type]
    async with serving(venue) as address:
        yield venue, address


@asynccontextmanager
async def serving(venue: EmbeddedVenue) -> AsyncIterator[Address]:
    async with trio.open_nursery() as nursery:
        yield await nursery.start(venue.serve)
        nursery.cancel_scope.cancel()


class Rest:
    """Calls of REST for one account, signed with HMAC."""

    def __init__(self, address: Address, account: int = 0) -> None:
        self.keys = address.accounts[account]
        self._client = httpx2.AsyncClient(base_url=address.rest, timeout=PATIENCE_S)

    async def __aenter__(self) -> Rest:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    def sign(self, params: dict[str, Any]) -> str:
        query = urlencode(params | {"timestamp": wall_ms()})
        return f"{query}&signature={hmac.new(self.keys.hmac_secret.encode(), query.encode(), hashlib.sha256).hexdigest()}"

    async def raw(self, verb: str, path: str, query: str = "", body: str | None = None) -> httpx2.Response:
        headers = {"X-MBX-APIKEY": self.keys.hmac_api_key}
        if body is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
        return await self._client.request(verb, f"{path}?{query}" if query else path, content=body, headers=headers)

    async def get(self, path: str, **params: Any) -> Any:
        """A public call; the decoded body."""
        return (await self.raw("GET", path, urlencode(params))).json()

    async def call(self, verb: str, path: str, **params: Any) -> Any:
        """A signed call; the decoded body."""
        return (await self.raw(verb, path, self.sign(params))).json()


class Api:
    """One connection of the WebSocket API."""

    def __init__(self, socket: WebSocketConnection, address: Address, account: int = 0) -> None:
        self.socket = socket
        self.keys = address.accounts[account]
        self._private = load_pem_private_key(self.keys.ed25519_private_pem, password=None)
        self._next_id = 0

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """One request and its answer."""
        self._next_id += 1
        frame = msgspec.json.encode({"id": self._next_id, "method": method, "params": params})
        await self.socket.send_message(frame.decode())
        with trio.fail_after(PATIENCE_S):
            return msgspec.json.decode(await self.socket.get_message())  # type: ignore[no-any-return]

    async def log_on(self) -> dict[str, Any]:
        return await self.ask("session.logon", **self.signed())

    async def trade(self, method: str, **params: Any) -> dict[str, Any]:
        """A request on a connection that is logged on."""
        return await self.ask(method, **params, timestamp=wall_ms())

    def signed(self, **params: Any) -> dict[str, Any]:
        assert isinstance(self._private, Ed25519PrivateKey)
        full = {**params, "apiKey": self.keys.ed25519_api_key, "timestamp": wall_ms()}
        payload = "&".join(f"{name}={text_of(full[name])}" for name in sorted(full))
        return full | {"signature": base64.b64encode(self._private.sign(payload.encode())).decode()}


@asynccontextmanager
async def socket(url: str) -> AsyncIterator[WebSocketConnection]:
    """A client's WebSocket. The stream below is ours, so that it is closed however the connection ended."""
    parts = urlsplit(url)
    below = await trio.open_tcp_stream(parts.hostname or "", parts.port or 0)
    try:
        async with trio.open_nursery() as nursery:
            target = f"{parts.path}?{parts.query}" if parts.query else parts.path
            yield await wrap_client_stream(nursery, below, parts.netloc, target)
            nursery.cancel_scope.cancel()
    finally:
        await trio.aclose_forcefully(below)


@asynccontextmanager
async def api(address: Address, account: int = 0, query: str = "") -> AsyncIterator[Api]:
    async with socket(address.api + query) as line:
        yield Api(line, address, account)


class Stream:
    """One stream connection."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self.socket = socket

    async def ask(self, method: str, params: list[Any] | None = None, request_id: object = 1) -> None:
        body: dict[str, Any] = {"method": method, "id": request_id}
        if params is not None:
            body["params"] = params
        await self.socket.send_message(msgspec.json.encode(body).decode())

    async def heard(self) -> None:
        """Returns when the venue has taken the connection in: from now on it misses nothing."""
        await self.ask("LIST_SUBSCRIPTIONS")
        await self.reply()

    async def next(self, seconds: float = PATIENCE_S) -> Any:
        """The next frame, decoded."""
        with trio.fail_after(seconds):
            return msgspec.json.decode(await self.socket.get_message())

    async def reply(self, seconds: float = PATIENCE_S) -> Any:
        """The next answer to a control message; payloads are passed over."""
        while True:
            frame = await self.next(seconds)
            if isinstance(frame, dict) and ("result" in frame or "error" in frame):
                return frame

    async def until(self, event: str, seconds: float = PATIENCE_S) -> Any:
        """The next payload of an event type, taken out of its envelope."""
        while True:
            frame = await self.next(seconds)
            body = frame.get("data", frame) if isinstance(frame, dict) else frame
            if isinstance(body, dict) and body.get("e") == event:
                return body


@asynccontextmanager
async def stream(address: Address, path: str) -> AsyncIterator[Stream]:
    async with socket(address.streams + path) as line:
        yield Stream(line)
