"""What an address gets: which kind of connection, what it costs, and how it is refused."""

from __future__ import annotations

import json

import pytest

from coldframe.exchange.context import Context
from coldframe.exchange.endpoints.rest import RestAnswer
from coldframe.exchange.endpoints.session import ApiSession
from coldframe.exchange.endpoints.stream_session import StreamSession
from coldframe.exchange.faults import ConnectionKind
from coldframe.exchange.handshakes import API_PATH, answer_upgrade
from coldframe.wire.weights import HANDSHAKE_WEIGHT
from tests.simulation.clients import Clients

STATUS = b'{"id":"1","method":"session.status"}'
KINDS = {
    API_PATH: ConnectionKind.API,
    f"{API_PATH}/": ConnectionKind.API,
    f"{API_PATH}?returnRateLimits=false": ConnectionKind.API,
    "/private/ws/key123": ConnectionKind.PRIVATE,
    "/market/ws": ConnectionKind.MARKET,
    "/public/stream?streams=btcusdt@bookTicker": ConnectionKind.MARKET,
    "/ws": ConnectionKind.MARKET,
    f"{API_PATH}x": None,
    "/nothing": None,
    "//[": None,
}


def made(**settings: object) -> Context:
    return Clients(**settings).venue.context


@pytest.mark.parametrize(("target", "kind"), KINDS.items())
def test_the_address_decides_what_a_connection_is(target: str, kind: ConnectionKind | None) -> None:
    context = made()
    session = answer_upgrade(context, target, 0.0)
    if isinstance(session, StreamSession):
        session.begin()
    if kind is None:
        assert session == RestAnswer(404, (("content-type", "text/plain"),), b"no such stream path\n")
    else:
        assert not isinstance(session, RestAnswer)
        assert session.carries is kind
    used = context.exchange.counters.used_weight(context.now_ms())
    assert used == (HANDSHAKE_WEIGHT if kind is ConnectionKind.API else 0)


@pytest.mark.parametrize(
    ("query", "shown"), [("", True), ("?returnRateLimits=true", True), ("?returnRateLimits=FALSE", False), ("?other=false", True)]
)
def test_the_address_says_whether_limits_are_shown(query: str, shown: bool) -> None:
    context = made()
    session = answer_upgrade(context, API_PATH + query, 0.0)
    assert isinstance(session, ApiSession)
    answer = json.loads(session.answer(b'{"id":"1","method":"ticker.price","params":{"symbol":"BTCUSDT"}}', context.now_ms()))
    assert ("rateLimits" in answer) == shown


@pytest.mark.parametrize("status", [418, 429])
@pytest.mark.parametrize("target", [API_PATH, "/market/ws", "/nothing"])
def test_a_ban_refuses_every_handshake(status: int, target: str) -> None:
    context = made()
    context.exchange.counters.block(status, context.now_ms() + 1500)
    answer = answer_upgrade(context, target, 0.0)
    assert isinstance(answer, RestAnswer)
    assert (answer.status, dict(answer.headers)["retry-after"]) == (status, "2")
    assert json.loads(answer.body)["code"] == -1003


def test_used_up_weight_refuses_the_api_alone() -> None:
    context = made()
    room = context.exchange.counters.limits.weight_1m // HANDSHAKE_WEIGHT
    kinds = [type(answer_upgrade(context, API_PATH, 0.0)) for _ in range(room + 1)]
    assert kinds == [ApiSession] * room + [RestAnswer]
    assert isinstance(answer_upgrade(context, "/market/ws", 0.0), StreamSession)


@pytest.mark.parametrize(("unrouted", "told"), [("all", ["/ws", "/stream"]), ("public", [])])
def test_paths_without_a_route_are_noted(unrouted: str, told: list[str]) -> None:
    clients = Clients(unrouted=unrouted)
    for target in ("/ws", "/stream", "/market/ws", "/public/stream"):
        assert isinstance(answer_upgrade(clients.venue.context, target, 0.0), StreamSession)
    assert [notice.split(":")[0] for notice in clients.venue.notices] == [f"a client opened {path}" for path in told]
