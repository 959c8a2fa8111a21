"""The stream names of the seed documents, on the paths of the seed documents, as `coldframe venue` serves them."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import MockClock

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.enums import INTERVALS
from coldframe.exchange_server import EmbeddedVenue
from tests.exchange_server.links.cable import EVERY, running, serving, stream, wall_ms

#: Each form of a name in `seeds/`, with the documents' own examples as subjects.
DEPTHS = [f"btcusdt@depth{levels}{speed}" for levels in ("", 5, 10, 20) for speed in ("", "@500ms", "@100ms")]
FORMS = [
    *("bnbusdt@aggTrade", "btcusdt@markPrice", "btcusdt@markPrice@1s", "!markPrice@arr", "!markPrice@arr@1s"),
    *(f"btcusdt@kline_{interval}" for interval in INTERVALS),
    *("btcusdt_perpetual@continuousKline_1m", "btcusdt@miniTicker", "!miniTicker@arr", "btcusdt@ticker", "!ticker@arr"),
    *("btcusdt@bookTicker", "!bookTicker", "btcusdt@forceOrder", "!forceOrder@arr", *DEPTHS),
    *("defiusdt@compositeIndex", "!contractInfo", "adausd@assetIndex", "!assetIndex@arr"),
]


async def test_every_form_of_the_seeds_speaks_on_the_old_path(virtual_clock: MockClock) -> None:
    async with (
        running(symbols=EVERY, unrouted="all", pace=10) as (_, address),
        stream(address, "/stream?streams=" + "/".join(FORMS)) as line,
    ):
        silent = set(FORMS)
        with trio.move_on_after(120):
            while silent:
                silent.discard(json.loads(await line.socket.get_message())["stream"])
        assert silent == set()


@pytest.mark.parametrize(
    ("unrouted", "path", "said"),
    [
        ("all", "/ws", 1),
        ("all", "/stream?streams=btcusdt@depth", 1),
        ("all", "/market/ws", 0),
        ("public", "/ws", 0),
        (None, "/ws", 0),
    ],
)
async def test_each_old_path_is_told_once_that_it_ended(unrouted: str | None, path: str, said: int) -> None:
    notices: list[str] = []
    venue = EmbeddedVenue(Settings(unrouted=unrouted), wall_ms=wall_ms, notice=notices.append)
    async with serving(venue) as address:
        for _ in range(2):
            async with stream(address, path) as line:
                await line.ask("SUBSCRIBE", ["btcusdt@bookTicker"])
                await line.ask("SUBSCRIBE", ["btcusdt@aggTrade"], 2)
                await line.next()
    assert len(notices) == 2 * said
    assert all("2026-04-23" in text for text in notices)


async def test_a_private_key_in_an_old_path_is_not_told() -> None:
    notices: list[str] = []
    venue = EmbeddedVenue(Settings(unrouted="all"), wall_ms=wall_ms, notice=notices.append)
    async with serving(venue) as address, stream(address, "/ws/abcdefabcdef") as line:
        await line.ask("LIST_SUBSCRIPTIONS", None)
        await line.reply()
    assert len(notices) == 1
    assert "abcdef" not in notices[0]
