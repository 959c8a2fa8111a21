"""Visitors of the front door, most of them bad: mangled heads, frames and requests.

Most connections are in memory and on virtual time, since sockets would make a million inputs a matter of hours; what serves them is
the same from its first byte on. Some are real sockets on the loopback address.

Some are signed after they were mangled, so that they come through to the exchange. Between them come good clients, who must be
served. Every connection ends by itself: a visitor says everything, listens for a moment or not at all, and says that it has ended.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from coldframe import Side
from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.config.venue import VenueAccount
from coldframe.core.connectivity.signing import signer_of_pem
from coldframe.exchange.context import Context
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.faults import FaultPlan
from coldframe.exchange.keys import AccountKeys
from coldframe.exchange.trading.account_store import MemoryAccountStore
from coldframe.exchange_server.key_files import keys_for
from coldframe.exchange_server.links.http_server import HttpServer
from coldframe.secret import Secret
from coldframe.wire.api import METHODS, Security
from coldframe.wire.rest import ENDPOINTS
from tests.campaigns.mangle import NUMBERS, TEXTS, mangled
from tests.randomness import randomness
from tests.simulation.still import StillMarket
from tests.trio_io.peer import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

START_MS: Final = 1_700_000_000_000
#: Virtual time between two connections: long enough that the rate limits let most of them in.
_APART_MS: Final = 250
#: After so many inputs the run is left for a new one: an exchange remembers its orders.
_INPUTS_A_VENUE: Final = 50_000
_GOOD_EVERY: Final = 100
_ORDERS_EVERY: Final = 10
_FRAMES: Final = 12
#: On a real connection: how long a visitor listens before it ends, and the longest that a visit may take.
_LISTENS_S: Final = 0.003
_SOCKET_S: Final = 5

HEADS: Final = (
    b"GET /fapi/v1/exchangeInfo HTTP/1.1\r\nhost: localhost\r\n\r\n",
    b"GET /fapi/v1/depth?symbol=BTCUSDT&limit=5 HTTP/1.1\r\nhost: 127.0.0.1:9000\r\naccept: */*\r\n\r\n",
    b"POST /fapi/v1/order HTTP/1.1\r\nhost: localhost\r\ncontent-length: 23\r\nx-mbx-apikey: k\r\n\r\nsymbol=BTCUSDT&side=BUY",
    b"POST /fapi/v1/order HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\na=b&c\r\n0\r\n\r\n",
    b"HEAD /fapi/v1/ping HTTP/1.1\r\nhost: [::1]:9000\r\nconnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    b"DELETE /fapi/v1/order?symbol=BTCUSDT HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\na=b",
    b"GET /market/stream?streams=btcusdt@aggTrade/ethusdt@depth HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\n"
    b"connection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"origin: http://localhost\r\nsec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)
UPGRADE: Final = (
    b"GET %b HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
STREAM_PATHS: Final = (
    b"/ws",
    b"/stream",
    b"/public/ws/btcusdt@depth",
    b"/market/stream?streams=btcusdt@aggTrade",
    b"/private/ws/key",
)
CONTROLS: Final = (
    b'{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","ethusdt@depth@100ms","btcusdt@kline_1m"],"id":1}',
    b'{"method":"UNSUBSCRIBE","params":["btcusdt@aggTrade"],"id":"abcdef01"}',
    b'{"method":"SET_PROPERTY","params":["combined",true],"id":5}',
    b'{"method":"LIST_SUBSCRIPTIONS","id":3}',
)
#: Parameters that calls take; a visitor takes some of them and mangles some values.
PARAMS: Final[dict[str, str]] = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "0.010",
    "price": "60000",
    "timeInForce": "GTC",
    "reduceOnly": "false",
    "newClientOrderId": "fuzz-1",
    "orderId": "1",
    "origClientOrderId": "fuzz-1",
    "newOrderRespType": "RESULT",
    "goodTillDate": "1800000000000",
    "priceMatch": "NONE",
    "positionSide": "BOTH",
    "stopPrice": "59000",
    "triggerPrice": "59000",
    "algoType": "CONDITIONAL",
    "callbackRate": "1",
    "closePosition": "false",
    "workingType": "MARK_PRICE",
    "limit": "10",
    "startTime": "1699999990000",
    "endTime": "1700000000000",
    "fromId": "0",
    "interval": "1m",
    "contractType": "PERPETUAL",
    "pair": "BTCUSDT",
    "leverage": "10",
    "marginType": "CROSSED",
    "dualSidePosition": "false",
    "multiAssetsMargin": "false",
    "amount": "10",
    "countdownTime": "5000",
    "incomeType": "COMMISSION",
    "batchOrders": '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"0.001"}]',
    "orderIdList": "[1,2]",
    "origClientOrderIdList": '["fuzz-1"]',
    "feeBurn": "true",
    "period": "5m",
    "asset": "USDT",
}
_ORDER: Final = ("symbol", "side", "type", "quantity", "price", "timeInForce")


class Visited(Protocol):
    """One connection, from what the visitor says to all that it gets to hear."""

    async def __call__(self, said: bytes, *, listens: bool) -> bytes: ...


class VisitedVenue:
    """An exchange with a still market behind a door."""

    def __init__(self, notice: Callable[[str], None]) -> None:
        self.now_ms = START_MS
        settings = Settings(
            accounts=[VenueAccount(name="main", tradfi_agreement=True), VenueAccount(name="other", hedge_mode=True)], unrouted="all"
        )
        market = StillMarket(["BTCUSDT", "ETHUSDT"], START_MS, settings.funding_interval_s)
        self.keys = keys_for([account.name for account in settings.accounts], None)
        exchange = Exchange(settings, market.markets, self.keys, MemoryAccountStore(), START_MS, randomness())
        faults = FaultPlan(settings.faults, settings.seed, START_MS, Random)
        self.context = Context(settings, exchange, market, lambda: self.now_ms, faults, notice)  # type: ignore[arg-type]
        market.bind(exchange.streams, self.context.clear_trades)
        self.market = market
        self.http_server = HttpServer(self.context)

    async def visited(self, said: bytes, *, listens: bool) -> bytes:
        """One connection, from what the visitor says to all that it gets to hear, if it listens before it ends."""
        visitor, here = memory_stream_pair()
        async with trio.open_nursery() as nursery:
            await visitor.send_all(said)
            nursery.start_soon(self.http_server.serve, here, "127.0.0.1")
            if listens:
                await wait_all_tasks_blocked()
            with suppress(trio.BrokenResourceError):
                await visitor.send_eof()
        heard = bytearray()
        with trio.move_on_after(1):
            async for part in visitor:
                heard += part
        return bytes(heard)

    async def visited_on_socket(self, port: int, said: bytes, *, listens: bool) -> bytes:
        """The same on a real connection to a port behind which this door is served."""
        heard = bytearray()
        visitor = await trio.open_tcp_stream("127.0.0.1", port)

        async def hear() -> None:
            with suppress(trio.BrokenResourceError):
                async for part in visitor:
                    heard.extend(part)

        with trio.move_on_after(_SOCKET_S):
            async with visitor, trio.open_nursery() as nursery:
                nursery.start_soon(hear)
                with suppress(trio.BrokenResourceError):
                    await visitor.send_all(said)
                    if listens:
                        await trio.sleep(_LISTENS_S)
                    await visitor.send_eof()
        return bytes(heard)


class Visits:
    """Visits to one venue after the other; `refused` is told of what was raised and where."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self.inputs = self.connections = self.good = self.served = 0
        self.unserved = ""
        self.refused: Callable[[str, str], None] = lambda what, example: None
        self._said = b""
        self._move_in()

    def run(self, inputs: int) -> None:
        """So many inputs more."""
        trio.run(self._visit_in_memory, self.inputs + inputs, clock=MockClock(autojump_threshold=0))

    # -- one visit after the other ------------------------------------------------------------------------------------

    def run_on_sockets(self, inputs: int) -> None:
        """The same on real connections and in real time."""
        trio.run(self._visit_on_sockets, self.inputs + inputs)

    async def _visit_on_sockets(self, until: int) -> None:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]

        async def serve(stream: trio.SocketStream) -> None:
            await self._venue.http_server.serve(stream, "127.0.0.1")

        async def visited(said: bytes, *, listens: bool) -> bytes:
            return await self._venue.visited_on_socket(port, said, listens=listens)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            await self._visit(until, visited)
            await self._good_visit(visited)
            nursery.cancel_scope.cancel()

    async def _visit_in_memory(self, until: int) -> None:
        async def visited(said: bytes, *, listens: bool) -> bytes:
            return await self._venue.visited(said, listens=listens)

        await self._visit(until, visited)

    async def _visit(self, until: int, visited: Visited) -> None:
        while self.inputs < until:
            if self.inputs - self._moved_in > _INPUTS_A_VENUE:
                self._move_in()
            self._venue.now_ms += _APART_MS
            visit = self._chance.choice((self._bad_head, self._bad_calls, self._bad_calls, self._bad_frames, self._bad_requests))
            count, self._said = visit()
            await visited(self._said, listens=self._chance.random() < 0.5)
            self.inputs += count
            self.connections += 1
            if self.connections % _GOOD_EVERY == 0:
                await self._good_visit(visited)
            self._turn()

    def _move_in(self) -> None:
        self._moved_in = self.inputs
        self._venue = VisitedVenue(self._notice)

    def _notice(self, text: str) -> None:
        if "bug" in text:
            self.refused(text, repr(self._said[:600]))

    def _turn(self) -> None:
        """What the venue does without being asked; whatever came in before must not end it."""
        try:
            if self._chance.random() < 0.02:
                best = self._venue.market.best("BTCUSDT", Side.BUY)
                self._venue.market.move("BTCUSDT", best + self._chance.randint(-300, 300))
            self._venue.context.turn()
        except Exception as error:  # noqa: BLE001  (that is what is looked for)
            self.refused(f"a turn of the venue: {type(error).__name__}: {error}", repr(self._said[:600]))
            self._move_in()

    async def _good_visit(self, visited: Visited) -> None:
        """A client that does everything right, on REST and now and then as a trader on the WebSocket API."""
        self.good += 1
        self._venue.now_ms += 61_000  # whatever limit others have used up is free again, and a ban is over
        heard = await visited(b"GET /fapi/v1/ping HTTP/1.1\r\nhost: localhost\r\n\r\n", listens=True)
        fine = heard.startswith(b"HTTP/1.1 200") and heard.endswith(b"{}")
        if fine and self.good % _ORDERS_EVERY == 0:
            asked = [self._signed_request("session.logon", {}), b'{"id":2,"method":"session.status"}']
            heard = await visited(UPGRADE % b"/ws-fapi/v1" + b"".join(map(_text, asked)), listens=True)
            fine = heard.count(b'"status":200') == 2
        self.served += fine
        if not fine:
            self.unserved = repr(heard[:600])

    # -- visitors -----------------------------------------------------------------------------------------------------

    def _bad_head(self) -> tuple[int, bytes]:
        return 1, mangled(self._chance, self._chance.choice(HEADS), HEADS)

    def _bad_calls(self) -> tuple[int, bytes]:
        """Calls of REST one behind the other, signed for what they have become."""
        calls = [self._call() for _ in range(self._chance.randint(1, 6))]
        return len(calls), b"".join(calls)

    def _bad_frames(self) -> tuple[int, bytes]:
        """A stream connection, and frames of all kinds on it. It begins with a pong without a ping, which is allowed."""
        frames = [self._frame(mangled(self._chance, self._chance.choice(CONTROLS), CONTROLS)) for _ in range(_FRAMES)]
        return _FRAMES, UPGRADE % self._chance.choice(STREAM_PATHS) + frame(PONG, b"", masked=True) + b"".join(frames)

    def _bad_requests(self) -> tuple[int, bytes]:
        """A connection of the WebSocket API that logs on, and requests on it, some of which the exchange understands."""
        frames = [_text(self._signed_request("session.logon", {}))]
        for _ in range(_FRAMES):
            method = self._chance.choice(list(METHODS))
            body = self._signed_request(method, self._params())
            if self._chance.random() < 0.4:
                body = mangled(self._chance, body, (body, *CONTROLS))
            frames.append(self._frame(body))
        return _FRAMES, UPGRADE % b"/ws-fapi/v1" + b"".join(frames)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _account(self) -> AccountKeys:
        return self._venue.keys[0 if self._chance.random() < 0.8 else 1]

    def _params(self) -> dict[str, Any]:
        """Parameters of an order or of anything, one or two of them with odd values."""
        chance = self._chance
        names = list(_ORDER) if chance.random() < 0.5 else []
        names += chance.sample(list(PARAMS), chance.randint(0, 6))
        params: dict[str, Any] = {name: PARAMS[name] for name in names}
        params["newClientOrderId"] = f"fuzz-{chance.randrange(50)}"
        for name in chance.sample(sorted(params), min(chance.choice((0, 1, 1, 2)), len(params))):
            literal = chance.choice(chance.choice((NUMBERS, TEXTS)))
            params[name] = mangled(chance, str(params[name]).encode(), (literal,)) if chance.random() < 0.5 else literal.strip(b'"')
        return {name: value.decode("latin-1") if isinstance(value, bytes) else value for name, value in params.items()}

    def _call(self) -> bytes:
        """One signed call of REST, with query and body as clients send them."""
        (verb, path), keys, params = self._chance.choice(list(ENDPOINTS)), self._account(), self._params()
        text = urlencode({**params, "timestamp": self._venue.now_ms, "recvWindow": 60_000}, encoding="latin-1")[:60_000]
        text += f"&signature={hmac.new(keys.hmac_secret.encode(), text.encode(), hashlib.sha256).hexdigest()}"
        head = f"host: localhost\r\nx-mbx-apikey: {keys.hmac_api_key}\r\n"
        if verb == "GET" or self._chance.random() < 0.5:
            return f"{verb} {path}?{text[:12_000]} HTTP/1.1\r\n{head}\r\n".encode()
        return f"{verb} {path} HTTP/1.1\r\n{head}content-length: {len(text)}\r\n\r\n{text}".encode()

    def _signed_request(self, method: str, params: dict[str, Any]) -> bytes:
        keys = self._account() if method != "session.logon" else self._venue.keys[0]
        full = {**params, "timestamp": self._venue.now_ms, "recvWindow": 60_000}
        if METHODS[method].security is not Security.NONE and (method == "session.logon" or self._chance.random() < 0.3):
            full["apiKey"] = keys.ed25519_api_key
            payload = "&".join(f"{name}={full[name]}" for name in sorted(full))
            signer = signer_of_pem(Secret(keys.ed25519_api_key), Secret(keys.ed25519_private_pem.decode()))
            full["signature"] = signer.sign(payload.encode())
        return json.dumps({"id": self._chance.randrange(10**6), "method": method, "params": full}).encode()

    def _frame(self, payload: bytes) -> bytes:
        """A payload in a frame: nearly always a good one, so that what is inside gets read."""
        chance, kind = self._chance, self._chance.random()
        if kind < 0.9:
            return _text(payload)
        odd = frame(
            chance.choice((TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE, chance.randrange(16))),
            payload[: chance.choice((0, 1, 2, 125, 126, 1000))],
            fin=chance.random() < 0.7,
            rsv=chance.choice((0, 0, 0, 1, 4)),
            masked=chance.random() < 0.8,
        )
        return odd if kind < 0.97 else mangled(chance, odd, (odd,))


def _text(payload: bytes) -> bytes:
    return frame(TEXT, payload, masked=True)
