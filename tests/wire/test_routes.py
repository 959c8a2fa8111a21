"""Routes: which stream is served where, and which connection a path opens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.wire.names import parse
from coldframe.wire.routes import ENDPOINTS, Route, StreamTarget, combined_path, parse_target, private_path, route_of
from tests.wire.test_names import NAMES

#: protocol.md 4.1, "Route table": these forms are public, listen keys are private, everything else is market.
PUBLIC = ("@bookTicker", "!bookTicker", "@depth", "@rpiDepth")


@pytest.mark.parametrize("name", [row[0] for row in NAMES])
def test_the_route_table(name: str) -> None:
    public = any(form in name for form in PUBLIC)
    assert route_of(parse(name)) is (Route.PUBLIC if public else Route.MARKET)


def test_both_environments_have_three_urls_without_final_slash() -> None:
    assert set(ENDPOINTS) == {"mainnet", "testnet"}
    for endpoints in ENDPOINTS.values():
        assert endpoints.rest.startswith("https://")
        assert endpoints.streams.startswith("wss://")
        assert endpoints.api.startswith("wss://")
        assert endpoints.api.endswith("/ws-fapi/v1")
        assert not any(url.endswith("/") for url in (endpoints.rest, endpoints.streams, endpoints.api))


@pytest.mark.parametrize("route", Route)
def test_what_the_bot_opens_is_what_the_venue_reads(route: Route) -> None:
    assert parse_target(combined_path(route)) == StreamTarget(route, combined=True)
    assert parse_target(private_path("K")) == StreamTarget(Route.PRIVATE, combined=False, names=("K",))


R = Route
PATHS: dict[str, StreamTarget | None] = {
    # raw and combined, with and without a route
    "/ws": StreamTarget(R.UNROUTED, False),
    "/ws/": StreamTarget(R.UNROUTED, False),
    "/ws/bnbusdt@aggTrade": StreamTarget(R.UNROUTED, False, ("bnbusdt@aggTrade",)),
    "/stream?streams=bnbusdt@aggTrade/btcusdt@markPrice": StreamTarget(R.UNROUTED, True, ("bnbusdt@aggTrade", "btcusdt@markPrice")),
    "/public/ws/btcusdt@depth/btcusdt@bookTicker": StreamTarget(R.PUBLIC, False, ("btcusdt@depth", "btcusdt@bookTicker")),
    "/market/stream?streams=btcusdt@aggTrade": StreamTarget(R.MARKET, True, ("btcusdt@aggTrade",)),
    "/market/stream": StreamTarget(R.MARKET, True),
    "/public/stream/": StreamTarget(R.PUBLIC, True),
    # what other clients send
    "/public/ws/0": StreamTarget(R.PUBLIC, False),
    "/ws/0/btcusdt@depth": StreamTarget(R.UNROUTED, False, ("btcusdt@depth",)),
    "/stream?streams=": StreamTarget(R.UNROUTED, True),
    "/public/stream?streams=": StreamTarget(R.PUBLIC, True),
    "/public/stream?streams": StreamTarget(R.PUBLIC, True),
    "/stream?streams=btcusdt@depth/": StreamTarget(R.UNROUTED, True, ("btcusdt@depth",)),
    "/stream?streams=/btcusdt@depth": StreamTarget(R.UNROUTED, True, ("btcusdt@depth",)),
    "/stream?streams=btcusdt@depth/btcusdt@depth": StreamTarget(R.UNROUTED, True, ("btcusdt@depth",)),
    "/ws/btcusdt@depth/btcusdt@depth": StreamTarget(R.UNROUTED, False, ("btcusdt@depth",)),
    "/stream?streams=btcusdt%40depth%2Fethusdt%40depth": StreamTarget(R.UNROUTED, True, ("btcusdt@depth", "ethusdt@depth")),
    "/ws/%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9Fusdt@aggTrade": StreamTarget(R.UNROUTED, False, ("币安人生usdt@aggTrade",)),
    "/stream?streams=%E5%B8%81usdt@aggTrade": StreamTarget(R.UNROUTED, True, ("币usdt@aggTrade",)),
    "/stream?timeUnit=MILLISECOND&streams=btcusdt@depth": StreamTarget(R.UNROUTED, True, ("btcusdt@depth",)),
    # listen keys
    "/private/ws/K": StreamTarget(R.PRIVATE, False, ("K",)),
    "/ws/K": StreamTarget(R.UNROUTED, False, ("K",)),
    "/private/ws?listenKey=K": StreamTarget(R.PRIVATE, False, ("K",)),
    "/private/ws?listenKey=K&events=A/B": StreamTarget(R.PRIVATE, False, ("K",), (("K", ("A", "B")),)),
    "/private/ws?listenKey=K&events=": StreamTarget(R.PRIVATE, False, ("K",), (("K", ()),)),
    "/private/stream?listenKey=K": StreamTarget(R.PRIVATE, True, ("K",)),
    "/private/stream?listenKey=": StreamTarget(R.PRIVATE, True),
    "/private/stream?listenKey=K&listenKey=K": StreamTarget(R.PRIVATE, True, ("K",)),
    "/private/stream?listenKey=K1&events=A&listenKey=K2&events=B/C": StreamTarget(
        R.PRIVATE, True, ("K1", "K2"), (("K1", ("A",)), ("K2", ("B", "C")))
    ),
    "/private/stream?listenKey=K1&listenKey=K2&events=B": StreamTarget(R.PRIVATE, True, ("K1", "K2"), (("K2", ("B",)),)),
    "/private/stream?events=A&listenKey=K": StreamTarget(R.PRIVATE, True, ("K",)),
    # none
    "": None,
    "/": None,
    "/public": None,
    "/private": None,
    "/foo/ws": None,
    "/WS/btcusdt@depth": None,
    "/wss": None,
    "/ws-fapi/v1": None,
    "/fapi/v1/depth?symbol=BTCUSDT": None,
    "/public/market/ws": None,
    "//ws/btcusdt@depth": None,
    "//[": None,
}


@pytest.mark.parametrize("target", PATHS)
def test_a_path_opens_what_it_says(target: str) -> None:
    assert parse_target(target) == PATHS[target]


@given(st.text(max_size=40).map(lambda text: "/" + text) | st.text(max_size=40))
def test_any_path_is_a_connection_or_none(target: str) -> None:
    opened = parse_target(target)
    assert opened is None or (len(set(opened.names)) == len(opened.names) and "" not in opened.names)
