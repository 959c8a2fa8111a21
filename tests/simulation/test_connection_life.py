"""Connections that are closed for their age or for pings without an answer: what a bot on virtual time makes of it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.model.effects import LinkKind
from tests.simulation.clients import Clients
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet


def connected(clients: Clients, kind: LinkKind) -> list[tuple[int, str]]:
    """When a connection of this kind ends, in milliseconds, and why; nothing when it does not within a minute."""
    line = clients.connect(kind, "" if kind is LinkKind.API else "/market/ws")
    assert line is not None
    began_ms = clients.now_ms
    while clients.now_ms < began_ms + 60_000:
        clients.run(50)
        if line.gone is not None:
            return [(clients.now_ms - began_ms, line.gone)]
    return []


@pytest.mark.parametrize("kind", [LinkKind.API, LinkKind.MARKET])
def test_a_connection_ends_with_its_lifetime(kind: LinkKind) -> None:
    clients = Clients(link_lifetime_s=Decimal(30))
    assert connected(clients, kind) == [(30_000, "closed by the exchange: 1001 Connection lifetime is over")]


@pytest.mark.parametrize("kind", [LinkKind.API, LinkKind.MARKET])
def test_a_client_that_answers_no_ping_is_closed(kind: LinkKind) -> None:
    clients = Clients(ping_interval_s=Decimal(5), pong_timeout_s=Decimal(10))
    assert connected(clients, kind) == []
    clients.venue.deaf.add(kind)
    assert connected(clients, kind) == [(15_000, "closed by the exchange: 1008 Pong timeout")]


def test_a_bot_outlives_all_its_connections() -> None:
    pump = Pump([Trader(id="p", make=Puppet)], settings=Settings(link_lifetime_s=Decimal(60), listen_key_lifetime_s=Decimal(3600)))
    pump.run(300)
    assert pump.running
    assert len(pump.told("Connection lifetime is over")) >= 4
    pump.until(lambda: {socket.kind for socket in pump.venue.sockets.values()} == set(LinkKind))
