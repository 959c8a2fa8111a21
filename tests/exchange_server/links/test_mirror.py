"""A venue on the live market of another venue: one plays the exchange, the other is paper on it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx2
import msgspec
import trio
from trio.testing import MockClock

from coldframe.exchange_server import Address, EmbeddedVenue, Mirror
from coldframe.wire.reference import ExchangeInfo
from tests.exchange_server.links.cable import Rest, Settings, running, serving, stream, wall_ms

_STREAMS = {
    "public": ["btcusdt@depth@100ms", "btcusdt@bookTicker"],
    "market": ["btcusdt@aggTrade", "btcusdt@markPrice@1s"],
}


async def _connect(exchange: Address, mirror: Mirror, *, task_status: trio.TaskStatus[None]) -> None:
    """What a client of a mirror does: streams first, then the snapshot."""

    streaming = trio.Event()

    async def follow(route: str, *, task_status: trio.TaskStatus[None]) -> None:
        async with stream(exchange, f"/{route}/stream?streams={'/'.join(_STREAMS[route])}") as line:
            task_status.started()
            while True:
                frame = msgspec.json.decode(await line.socket.get_message(), type=dict[str, msgspec.Raw])
                name = msgspec.json.decode(frame["stream"])
                mirror.feed(name, bytes(frame["data"]))
                if "@depth" in name:
                    streaming.set()

    async with trio.open_nursery() as nursery:
        for route in _STREAMS:
            await nursery.start(follow, route)
        await streaming.wait()
        async with httpx2.AsyncClient(base_url=exchange.rest) as client:
            body = (await client.get("/fapi/v1/depth?symbol=BTCUSDT&limit=1000")).content
        mirror.feed_snapshot("BTCUSDT", body)
        task_status.started()


async def test_paper_on_a_live_market(virtual_clock: MockClock) -> None:
    async with running(symbols=["BTCUSDT", "ETHUSDT"]) as (_, exchange), trio.open_nursery() as nursery:
        async with httpx2.AsyncClient(base_url=exchange.rest) as client:
            info = msgspec.json.decode((await client.get("/fapi/v1/exchangeInfo")).content, type=ExchangeInfo)
        mirror = Mirror()
        mirror.feed_info(info)
        paper = EmbeddedVenue(Settings(symbols=["BTCUSDT"]), wall_ms=wall_ms, mirror=mirror)
        assert paper.symbols() == ("BTCUSDT",)
        async with serving(paper) as address, Rest(address) as rest:
            await nursery.start(_connect, exchange, mirror)
            await _books_agree(exchange, address)
            best = (await rest.get("/fapi/v1/depth", symbol="BTCUSDT", limit=5))["bids"][0][0]
            order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"}
            taken = await rest.call("POST", "/fapi/v1/order", **order, type="MARKET", newOrderRespType="RESULT")
            assert taken["status"] == "FILLED", taken
            resting = await rest.call("POST", "/fapi/v1/order", **order, type="LIMIT", timeInForce="GTC", price=best)
            with trio.fail_after(30):
                while resting["executedQty"] == "0.000":
                    await trio.sleep(0.2)
                    resting = await rest.call("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=resting["orderId"])
            async with Rest(exchange) as there:
                assert await there.call("GET", "/fapi/v1/allOrders", symbol="BTCUSDT") == []
            nursery.cancel_scope.cancel()


async def _books_agree(exchange: Address, paper: Address) -> None:
    """The paper venue passes payloads on word for word, and its own book is the exchange's of the same update id."""
    theirs: dict[int, Any] = {}
    ours: dict[int, Any] = {}

    async def collect(address: Address, into: dict[int, Any]) -> None:
        async with stream(address, "/public/stream?streams=btcusdt@depth@100ms") as line:
            while len(into) < 8:
                body = (await line.next())["data"]
                into[body["u"]] = body

    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect, exchange, theirs)
        nursery.start_soon(collect, paper, ours)
    # The relayed stream was subscribed to earlier, so its batches may have been cut elsewhere: levels agree all the same.
    shared = set(theirs) & set(ours)
    assert shared
    for update_id in shared:
        assert dict(ours[update_id]["b"]).items() >= dict(theirs[update_id]["b"]).items() or ours[update_id] == theirs[update_id]
    async with Rest(paper) as rest:
        book = await rest.get("/fapi/v1/depth", symbol="BTCUSDT", limit=5)
        assert max(Decimal(price) for price, _ in book["bids"]) < min(Decimal(price) for price, _ in book["asks"])
