"""The request samples of the seed documents, sent to the venue as they stand but for who asks and when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import needs_shared
from tests.exchange_server.links.cable import EVERY, api, running, stream
from tests.wire.seeds import samples

#: What belongs to the reader of the documents, not to the sample.
_OWN = ("apiKey", "signature", "timestamp")
STREAMS = {"SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"}


def requests() -> list[dict[str, Any]]:
    """Every sample that is a request, in the order of the documents."""
    bodies = [json.loads(sample.text) for sample in samples()]
    return [body for body in bodies if isinstance(body, dict) and "method" in body]


@needs_shared
async def test_the_samples_of_the_websocket_api_are_answered() -> None:
    sent = [body for body in requests() if body["method"] not in STREAMS]
    assert len(sent) >= 7
    async with running(symbols=EVERY) as (_, address), api(address) as line:
        await line.log_on()
        for body in sent:
            if body["method"] == "session.logout":
                continue
            params = {name: value for name, value in body.get("params", {}).items() if name not in _OWN}
            full = line.signed(**params) if body["method"] in ("order.place", "session.logon") else params
            answer = await line.ask(body["method"], **full)
            assert answer["status"] == 200, answer


@needs_shared
@pytest.mark.parametrize("path", ["/ws", "/stream"])
async def test_the_samples_of_the_streams_are_answered(path: str) -> None:
    sent = [body for body in requests() if body["method"] in STREAMS]
    assert {body["method"] for body in sent} == STREAMS
    async with running(symbols=EVERY, unrouted="all") as (_, address), stream(address, path) as line:
        heard: dict[int, object] = {}
        for body in sent:
            await line.ask(body["method"], body.get("params"), body["id"])
            reply = await line.reply()
            heard[reply["id"]] = reply["result"]
        assert heard == {1: None, 312: None, 3: ["btcusdt@aggTrade"], 5: None, 2: True}


@needs_shared
async def test_the_addresses_of_the_seeds_speak() -> None:
    """The two addresses that "Websocket Market Streams" gives as its examples."""
    async with running(symbols=EVERY, unrouted="all") as (_, address):
        async with stream(address, "/ws/bnbusdt@aggTrade") as line:
            assert (await line.next(10))["s"] == "BNBUSDT"
        async with stream(address, "/stream?streams=bnbusdt@aggTrade/btcusdt@markPrice") as line:
            names = {(await line.next(10))["stream"] for _ in range(30)}
        assert "bnbusdt@aggTrade" in names
