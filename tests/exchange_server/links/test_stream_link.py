"""Stream connections over sockets: addresses, control frames, routes, limits, pings, lifetimes, every kind of stream."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair
from trio_websocket import CloseReason, ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.enums import INTERVALS
from coldframe.exchange.faults import ConnectionKind
from coldframe.exchange_server import EmbeddedVenue
from coldframe.wire.codec import Census, decode_stream, decode_user
from coldframe.wire.names import StreamKind, parse
from coldframe.wire.routes import route_of
from tests.exchange_server.links.cable import EVERY, Rest, Stream, running, socket, stream, wall_ms
from tests.trio_io.peer import PATIENCE_S

# -- addresses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "combined"),
    [
        ("/public/ws/btcusdt@bookTicker", False),
        ("/public/ws/btcusdt@bookTicker/btcusdt@bookTicker", False),
        ("/public/stream?streams=btcusdt@bookTicker", True),
        ("/public/stream?streams=btcusdt%40bookTicker", True),
        ("/ws/btcusdt@bookTicker", False),
        ("/stream?streams=btcusdt@bookTicker", True),
    ],
)
async def test_streams_named_in_the_address(path: str, combined: bool) -> None:
    async with running() as (_, address), stream(address, path) as line:
        frame = await line.next()
        assert ("stream" in frame) is combined
        assert (frame["data"] if combined else frame)["e"] == "bookTicker"


@pytest.mark.parametrize(
    "path", ["/public/ws/0", "/public/ws", "/public/stream", "/public/stream?streams=", "/ws", "/stream?streams="]
)
async def test_an_empty_connection_takes_subscriptions(path: str) -> None:
    async with running() as (_, address), stream(address, path) as line:
        await line.ask("SUBSCRIBE", ["btcusdt@bookTicker", "btcusdt@bookTicker"])
        assert await line.reply() == {"result": None, "id": 1}
        assert (await line.until("bookTicker"))["s"] == "BTCUSDT"


async def test_non_ascii_symbols_work_raw_and_encoded() -> None:
    async with running(symbols=["币安人生USDT"]) as (_, address):
        async with stream(address, "/public/ws/%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9Fusdt@bookTicker") as line:
            assert (await line.until("bookTicker"))["s"] == "币安人生USDT"
        async with stream(address, "/public/stream") as line:
            await line.ask("SUBSCRIBE", ["币安人生usdt@bookTicker"])
            await line.reply()
            assert (await line.next())["stream"] == "币安人生usdt@bookTicker"


@pytest.mark.parametrize("path", ["/nothing", "/public/none/btcusdt@depth", "/private"])
async def test_paths_that_are_none_are_refused(path: str) -> None:
    async with running() as (_, address):
        with pytest.RaisesGroup(pytest.RaisesExc(ConnectionRejected, check=lambda rejection: rejection.status_code == 404)):
            async with socket(address.streams + path):
                pass


# -- routes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unrouted", "path", "heard"),
    [
        ("public", "/public/ws", {"bookTicker"}),
        ("public", "/market/ws", {"aggTrade"}),
        ("public", "/ws", {"bookTicker"}),
        ("all", "/ws", {"bookTicker", "aggTrade"}),
        ("public", "/private/ws", set()),
    ],
)
async def test_a_stream_on_the_wrong_route_is_acknowledged_and_silent(
    unrouted: str, path: str, heard: set[str], virtual_clock: MockClock
) -> None:
    async with running(unrouted=unrouted) as (_, address), stream(address, path) as line:
        await line.ask("SUBSCRIBE", ["btcusdt@bookTicker", "btcusdt@aggTrade"])
        assert await line.reply() == {"result": None, "id": 1}
        seen: set[str] = set()
        with trio.move_on_after(0.7):
            while True:
                seen.add((await line.next())["e"])
        assert seen == heard


# -- control frames -------------------------------------------------------------------------------------------------------


async def test_control_frames() -> None:
    async with running() as (_, address), stream(address, "/market/stream") as line:
        await line.ask("SUBSCRIBE", ["nosuch@aggTrade", "BTCUSDT@aggTrade", "nonsense"], 7)
        assert await line.reply() == {"result": None, "id": 7}
        await line.ask("UNSUBSCRIBE", ["never@seen", "nonsense"], 8)
        assert await line.reply() == {"result": None, "id": 8}
        await line.ask("LIST_SUBSCRIPTIONS", None, 9)
        assert await line.reply() == {"result": ["nosuch@aggTrade", "BTCUSDT@aggTrade"], "id": 9}
        await line.ask("GET_PROPERTY", ["combined"], 10)
        assert await line.reply() == {"result": True, "id": 10}
        await line.ask("SET_PROPERTY", ["combined", False], 11)
        assert await line.reply() == {"result": None, "id": 11}
        await line.ask("SUBSCRIBE", ["btcusdt@markPrice@1s"], 0)
        assert await line.reply() == {"result": None, "id": 0}
        assert (await line.next())["e"] == "markPriceUpdate"


@pytest.mark.parametrize("request_id", ["9ca10e58-7452-467e-9454-f669bb9c764e", "0123456789abcdef", 0, 4294967295])
async def test_ids_that_clients_send(request_id: object) -> None:
    async with running() as (_, address), stream(address, "/market/ws") as line:
        await line.ask("SUBSCRIBE", [], request_id)
        assert await line.reply() == {"result": None, "id": request_id}


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        ("{", {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 2"}),
        ('{"id":1}', {"code": 2, "msg": "Invalid request: missing field `method` at line 1 column 8"}),
        ('{"method":"SET_PROPERTY","params":["speed",1],"id":1}', {"code": 0, "msg": "Unknown property"}),
        (
            '{"method":"SUBSCRIBE","params":[],"id":-1}',
            {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"},
        ),
    ],
)
async def test_wrong_control_frames_get_the_documented_errors(frame: str, error: dict[str, Any]) -> None:
    async with running() as (_, address), stream(address, "/market/ws") as line:
        await line.socket.send_message(frame)
        assert (await line.reply())["error"] == error


# -- limits -------------------------------------------------------------------------------------------------------------


async def _frames_until_closed(line: WebSocketConnection, seconds: float = PATIENCE_S) -> tuple[list[Any], tuple[int, str | None]]:
    """All frames that still come, and the close that follows them."""
    frames: list[Any] = []
    reason: CloseReason | None = None
    with trio.fail_after(seconds):
        while reason is None:
            try:
                frames.append(msgspec.json.decode(await line.get_message()))
            except ConnectionClosed as closed:
                reason = closed.reason
    return frames, (reason.code, reason.reason)


async def test_a_burst_is_answered_in_part_and_then_closed() -> None:
    async with running() as (_, address), stream(address, "/market/ws") as line:
        for number in range(40):
            await line.ask("SUBSCRIBE", [], number)
        frames, close = await _frames_until_closed(line.socket)
        assert close == (1008, "Too many requests")
        assert 15 <= len(frames) <= 17


async def test_five_messages_a_second_pass_for_ever(autojump_clock: MockClock) -> None:
    began_ms = wall_ms()
    venue = EmbeddedVenue(Settings(), wall_ms=lambda: began_ms + int(trio.current_time() * 1000))
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(venue.serve_connection, server, "127.0.0.1")
        line = Stream(await wrap_client_stream(nursery, client, "localhost", "/market/ws"))  # type: ignore[arg-type]
        for number in range(200):
            await line.ask("SUBSCRIBE", [], number)
            assert (await line.reply())["id"] == number
            await trio.sleep(0.2)
        nursery.cancel_scope.cancel()


async def test_the_1025th_stream_ends_the_connection() -> None:
    async with running() as (_, address):
        async with stream(address, "/market/ws") as line:
            for first in range(0, 1000, 200):
                await line.ask("SUBSCRIBE", [f"s{number}@aggTrade" for number in range(first, first + 200)])
                await line.reply()
            await line.ask("SUBSCRIBE", [f"s{number}@aggTrade" for number in range(1000, 1024)])
            assert (await line.reply())["result"] is None
            await line.ask("SUBSCRIBE", ["one@aggTrade"])
            assert await line.next() == {"error": {"code": 4, "msg": "Too many subscriptions"}}
            assert await _frames_until_closed(line.socket) == ([], (1008, "Invalid request"))
        names = "/".join(f"s{number}@aggTrade" for number in range(1025))
        async with stream(address, f"/market/stream?streams={names}") as line:
            assert (await line.next())["error"]["code"] == 4
            assert await _frames_until_closed(line.socket) == ([], (1008, "Invalid request"))


async def test_client_that_does_not_read_is_cut_off_and_others_are_not() -> None:
    async with running(symbols=EVERY, pace=Decimal(20)) as (_, address), stream(address, "/public/ws/btcusdt@bookTicker") as good:
        lazy = await trio.open_tcp_stream("127.0.0.1", address.port)
        await lazy.send_all(
            b"GET /public/ws/btcusdt@depth@0ms HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        for _ in range(50):
            await good.next()
        await trio.aclose_forcefully(lazy)
        await good.next()


# -- pings and lifetime ---------------------------------------------------------------------------------------------------


async def test_server_pings_with_its_time_and_closes_silent_clients(virtual_clock: MockClock) -> None:
    settings = {"ping_interval_s": Decimal("0.1"), "pong_timeout_s": Decimal("0.4")}
    async with running(**settings) as (_, address):
        deaf = await trio.open_tcp_stream("127.0.0.1", address.port)
        await deaf.send_all(
            b"GET /market/ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        received = b""
        with trio.fail_after(15):
            try:
                while part := await deaf.receive_some():
                    received += part
            except trio.BrokenResourceError:
                pass
        await deaf.aclose()
        pings = received.split(b"\r\n\r\n", 1)[1]
        assert pings.startswith(b"\x89\x0d1")
        assert b"Pong timeout" in pings
        async with stream(address, "/market/ws/btcusdt@markPrice@1s") as line:
            with trio.move_on_after(1.2):
                while True:
                    await line.next()
            await line.ask("LIST_SUBSCRIPTIONS")
            await line.reply()


async def test_a_connection_lives_only_so_long(virtual_clock: MockClock) -> None:
    async with running(link_lifetime_s=Decimal("0.3")) as (_, address), stream(address, "/market/ws") as line:
        assert (await _frames_until_closed(line.socket))[1][0] == 1001


# -- the private route ----------------------------------------------------------------------------------------------------

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "59000.0"}


@pytest.mark.parametrize(
    "path", ["/private/ws/{key}", "/private/ws?listenKey={key}", "/private/stream?listenKey={key}", "/private/stream?streams={key}"]
)
async def test_user_events_arrive_under_every_form_of_address(path: str) -> None:
    async with running() as (_, address), Rest(address) as rest:
        key = (await rest.call("POST", "/fapi/v1/listenKey"))["listenKey"]
        async with stream(address, path.format(key=key)) as line:
            await line.heard()
            await rest.call("POST", "/fapi/v1/order", **ORDER)
            frame = await line.next()
            if "/stream" in path:
                assert frame["stream"] == key
                frame = frame["data"]
            assert frame["e"] == "ORDER_TRADE_UPDATE"


async def test_listen_key_stream_can_be_subscribed_to_event_by_event() -> None:
    async with running() as (_, address), Rest(address) as rest:
        key = (await rest.call("POST", "/fapi/v1/listenKey"))["listenKey"]
        chosen = f"/private/ws?listenKey={key}&events=ACCOUNT_UPDATE/ACCOUNT_CONFIG_UPDATE"
        async with stream(address, "/private/stream") as whole, stream(address, chosen) as part:
            await whole.ask("SUBSCRIBE", [key])
            await whole.reply()
            await rest.call("POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
            await rest.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=10)
            assert (await whole.next())["data"]["e"] == "ORDER_TRADE_UPDATE"
            assert [(await part.next())["e"] for _ in range(2)] == ["ACCOUNT_UPDATE", "ACCOUNT_CONFIG_UPDATE"]


async def test_user_events_decode_without_anything_unknown() -> None:
    async with running() as (_, address), Rest(address) as rest:
        key = (await rest.call("POST", "/fapi/v1/listenKey"))["listenKey"]
        async with stream(address, f"/private/ws/{key}") as line:
            await line.heard()
            await rest.call("POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
            await rest.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=10)
            await rest.call(
                "POST",
                "/fapi/v1/algoOrder",
                algoType="CONDITIONAL",
                symbol="BTCUSDT",
                side="SELL",
                type="STOP_MARKET",
                closePosition="true",
                triggerPrice="50000.0",
            )
            census, seen = Census(), set()
            with trio.fail_after(15):
                while len(seen) < 5:
                    frame = await line.socket.get_message()
                    seen.add(decode_user(frame.encode(), census).event)  # type: ignore[attr-defined, union-attr]
            assert seen == {"ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE", "ACCOUNT_CONFIG_UPDATE", "ALGO_UPDATE"}
            assert census.unknown == {}


async def test_an_expired_listen_key_is_told_and_then_silent(virtual_clock: MockClock) -> None:
    async with running(listen_key_lifetime_s=Decimal("0.3")) as (_, address), Rest(address) as rest:
        key = (await rest.call("POST", "/fapi/v1/listenKey"))["listenKey"]
        async with stream(address, f"/private/ws/{key}") as line:
            event = await line.next()
            assert (event["e"], event["listenKey"]) == ("listenKeyExpired", key)
            await rest.call("POST", "/fapi/v1/order", **ORDER)
            with trio.move_on_after(0.3) as waiting:
                await line.next()
            assert waiting.cancelled_caught
        assert (await rest.call("PUT", "/fapi/v1/listenKey"))["code"] == -1125


async def test_dropping_private_links_leaves_the_others() -> None:
    async with running(symbols=EVERY) as (venue, address), Rest(address) as rest:
        key = (await rest.call("POST", "/fapi/v1/listenKey"))["listenKey"]
        async with stream(address, f"/private/ws/{key}") as user, stream(address, "/public/ws/btcusdt@bookTicker") as market:
            await market.next()
            for link in [link for link in venue._http_server.stream_links if link.carries is ConnectionKind.PRIVATE]:
                link.drop()
            with pytest.raises(ConnectionClosed), trio.fail_after(15):
                await user.socket.get_message()
            await market.next()


# -- every kind of stream -------------------------------------------------------------------------------------------------

_EVERY = [
    "btcusdt@aggTrade",
    "btcusdt@trade",
    "btcusdt@markPrice",
    "btcusdt@markPrice@1s",
    "!markPrice@arr",
    "!markPrice@arr@1s",
    "btcusdt@kline_1m",
    "btcusdt@kline_1M",
    "btcusdt_perpetual@continuousKline_1m",
    "btcusdt@miniTicker",
    "!miniTicker@arr",
    "btcusdt@ticker",
    "!ticker@arr",
    "btcusdt@bookTicker",
    "!bookTicker",
    "!forceOrder@arr",
    "btcusdt@depth5",
    "btcusdt@depth10@500ms",
    "btcusdt@depth20@100ms",
    "btcusdt@depth",
    "btcusdt@depth@500ms",
    "btcusdt@depth@100ms",
    "btcusdt@depth@0ms",
    "btcusdt@rpiDepth@500ms",
    "defiusdt@compositeIndex",
    "!contractInfo",
    "!assetIndex@arr",
    "btcusd@assetIndex",
    "tradingSession",
]


async def test_every_kind_of_stream_arrives_and_decodes(virtual_clock: MockClock) -> None:
    assert {parse(name).kind for name in _EVERY} == set(StreamKind)
    census, missing = Census(), set(_EVERY)

    async def listen(route: str) -> None:
        names = [name for name in _EVERY if route_of(parse(name)) == route]
        async with stream(address, f"/{route}/stream?streams={'/'.join(names)}") as line:
            while missing & set(names):
                with trio.fail_after(15):
                    frame = msgspec.json.decode(await line.socket.get_message(), type=dict[str, msgspec.Raw])
                name = msgspec.json.decode(frame["stream"])
                decode_stream(parse(name), bytes(frame["data"]), census)
                missing.discard(name)

    async with running(symbols=EVERY, pace=Decimal(10)) as (_, address), trio.open_nursery() as nursery:
        nursery.start_soon(listen, "public")
        nursery.start_soon(listen, "market")
    assert census.unknown == {}


async def test_all_intervals_of_candles_arrive() -> None:
    names = {f"ethusdt@kline_{interval}" for interval in INTERVALS}
    async with running(symbols=EVERY) as (_, address), stream(address, f"/market/stream?streams={'/'.join(names)}") as line:
        while names:
            frame = await line.next()
            assert frame["data"]["k"]["i"] == frame["stream"].partition("_")[2]
            names.discard(frame["stream"])


# -- books --------------------------------------------------------------------------------------------------------------


class _Book:
    """A book kept by the nine steps, as plainly as possible."""

    def __init__(self, snapshot: dict[str, Any]) -> None:
        self.last_id = snapshot["lastUpdateId"]
        self.bids = dict(snapshot["bids"])
        self.asks = dict(snapshot["asks"])

    def apply(self, update: dict[str, Any]) -> None:
        if update["u"] <= self.last_id:
            return
        assert update["pu"] <= self.last_id
        for side, levels in ((self.bids, update["b"]), (self.asks, update["a"])):
            for price, quantity in levels:
                side[price] = quantity
                if not Decimal(quantity):
                    del side[price]
        self.last_id = update["u"]

    def best(self) -> tuple[tuple[str, str], tuple[str, str]]:
        bid, ask = max(self.bids, key=Decimal), min(self.asks, key=Decimal)
        return (bid, self.bids[bid]), (ask, self.asks[ask])


@pytest.mark.parametrize("speed", ["@100ms", "", "@0ms"])
async def test_book_rebuilt_from_updates_agrees_with_later_snapshots(speed: str, virtual_clock: MockClock) -> None:
    path = f"/public/stream?streams=btcusdt@depth{speed}/btcusdt@bookTicker"
    async with running(symbols=EVERY) as (_, address), Rest(address) as rest, stream(address, path) as line:
        updates: list[dict[str, Any]] = []
        tickers: dict[int, Any] = {}

        async def collect(line: Stream, until: int) -> None:
            while len(updates) < until:
                body = (await line.next())["data"]
                if body["e"] == "depthUpdate":
                    updates.append(body)
                else:
                    tickers[body["u"]] = ((body["b"], body["B"]), (body["a"], body["A"]))

        await collect(line, 2)
        snapshot = await rest.get("/fapi/v1/depth", symbol="BTCUSDT", limit=1000)
        # Updates of single changes come in bursts, and many of the first ones are older than the snapshot.
        await collect(line, 80 if speed == "@0ms" else 16)
        book, compared = _Book(snapshot), 0
        for update in updates:
            book.apply(update)
            spoken = [update_id for update_id in tickers if update_id <= book.last_id]
            # The ticker of an update follows it: only with a later one in hand is it certain that there was none.
            if book.last_id == update["u"] and spoken and max(tickers) >= update["u"]:
                compared += 1
                assert book.best() == tickers[max(spoken)]
        assert compared >= 10
        later = await rest.get("/fapi/v1/depth", symbol="BTCUSDT", limit=1000)
        while book.last_id < later["lastUpdateId"]:
            body = (await line.next())["data"]
            if body["e"] == "depthUpdate":
                book.apply(body)
        if book.last_id == later["lastUpdateId"]:
            assert book.bids == dict(later["bids"])
            assert book.asks == dict(later["asks"])
