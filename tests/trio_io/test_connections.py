"""Which venue answers which call, when market data and orders come from different ones."""

from __future__ import annotations

import ssl

import trio

from coldframe.trio_io.clock import Clock
from coldframe.trio_io.connections import Connections
from coldframe.trio_io.inbox import Inbox
from coldframe.trio_io.rest import RestClient
from coldframe.wire.routes import Endpoints


async def test_market_calls_go_to_the_market_venue_others_to_the_other() -> None:
    clock, tls = Clock(), ssl.create_default_context()
    market, orders = (Endpoints(f"http://{name}", f"ws://{name}", f"ws://{name}/api") for name in ("market", "orders"))
    async with (
        RestClient(market.rest, tls, clock.now_ns, None, 5000) as market_rest,
        RestClient(orders.rest, tls, clock.now_ns, None, 5000) as order_rest,
        trio.open_nursery() as nursery,
    ):
        connections = Connections(market_rest, order_rest, market, orders, tls, None, 5000, "a seed")
        for path in ("/fapi/v1/depth", "/fapi/v1/rpiDepth", "/fapi/v1/exchangeInfo"):
            assert connections.rest_for(path) is market_rest
        for path in ("/fapi/v1/time", "/fapi/v1/listenKey", "/fapi/v1/openOrders", "/fapi/v3/positionRisk"):
            assert connections.rest_for(path) is order_rest
        links = connections.links(nursery, Inbox(clock.now_ns), clock)
        assert links.taps == []
        assert connections.recording_ended is None
