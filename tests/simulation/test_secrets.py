"""Session secrets stay out of the journal and the log, whatever tells them."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from coldframe import Target
from coldframe.config.venue import EmbeddedVenue, VenueFaults
from coldframe.model.effects import LinkKind
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet


def listen_keys(pump: Pump) -> set[str]:
    """The listen keys under which the bot listens now."""
    return {name for socket in pump.venue.sockets.values() if socket.kind is LinkKind.PRIVATE for name in socket.session.names}  # type: ignore[union-attr]


def kept(pump: Pump) -> str:
    """Everything the bot has written down or said."""
    return repr([(row.kind, row.ref, row.body) for row in pump.rows]) + "\n".join(pump.log)


def test_x4_a_listen_key_that_expires_is_not_recorded() -> None:
    faults = VenueFaults(listen_keys_expire_s=Decimal(4))
    puppet = Puppet()
    pump = Pump([Trader(id="mm", make=lambda: puppet)], settings=EmbeddedVenue(faults=faults))
    puppet.wanted = [Target("BTCUSDT", Decimal("0.010"))]
    keys: set[str] = set()
    pump.watchers.append(lambda: keys.update(listen_keys(pump)))
    pump.until(lambda: len(pump.told("listen key expired")) >= 3, 60)
    assert len(keys) >= 3
    assert any(row.kind == "report" for row in pump.rows), "reports are recorded at all"
    assert [key for key in keys if key in kept(pump)] == []


@pytest.mark.parametrize(
    "shape",
    [
        {"e": "listenKeyExpired", "E": 1_700_000_000_000, "listenKey": "KEY", "new": 1},
        {"e": "listenKeyExpired", "E": "KEY", "listenKey": 5},
        {"e": "listenKeyExpired", "listenKey": "KEY"},
        {"e": "listenKeyRenewed", "E": 1_700_000_000_000, "listenKey": "KEY"},
        {"e": "ORDER_TRADE_UPDATE", "E": 1_700_000_000_000, "listenKey": "KEY"},
        {"stream": "KEY", "data": {"e": "listenKeyExpired", "E": 1_700_000_000_000, "listenKey": "KEY"}},
    ],
    ids=["a new field", "a wrong type", "a field missing", "an unknown event", "an order event", "in an envelope"],
)
def test_x4_no_event_brings_a_listen_key_into_the_journal(shape: dict[str, object]) -> None:
    puppet = Puppet()
    pump = Pump([Trader(id="mm", make=lambda: puppet)])
    pump.run(3)
    (key,) = listen_keys(pump)
    link = next(socket.link for socket in pump.venue.sockets.values() if socket.kind is LinkKind.PRIVATE)
    pump.received(link, json.dumps(shape).replace("KEY", key).encode())
    pump.run(1)
    assert key not in kept(pump)
