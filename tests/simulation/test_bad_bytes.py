"""Bytes that no link should bring: the engine says so, loses a link at worst, and trades on."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import Target
from coldframe.model.effects import LinkKind
from coldframe.model.inputs import FramesReceived, Lane, LinkOpened, Stamped
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

NUMBERS = ["1e-99999999999999999999", "0e99999999999999999999", "1e999999", "9" * 5000]
#: Frames of each link with a hole for a number, most of them under a key that no class knows.
FRAMES = [
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"T":1,"s":"BTCUSDT","U":1,"u":2,"pu":0,"b":[],"a":[],"zz":NUMBER}}',
    b'{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1,"s":"BTCUSDT","p":"1","i":"1","P":"1","r":"1","T":1,"zz":NUMBER}}',
    b'{"id":1,"status":200,"result":{},"zz":[NUMBER]}',
    b'{"id":1,"status":200,"result":{"zz":NUMBER}}',
    b'{"id":1,"status":400,"error":{"code":NUMBER,"msg":"x"}}',
    b'{"id":NUMBER,"result":null}',
    b'{"e":"TRADE_LITE","E":1,"zz":{"deep":NUMBER}}',
    b'{"e":"NEW_EVENT","zz":NUMBER}',
]


def world() -> tuple[Pump, Puppet]:
    puppet = Puppet()
    pump = Pump([Trader(id="mm", make=lambda: puppet)])
    pump.run(3)
    return pump, puppet


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:24])
@pytest.mark.parametrize("kind", LinkKind)
def test_w24_a_number_out_of_bounds_costs_a_link_at_worst(kind: LinkKind, number: str) -> None:
    pump, puppet = world()
    frames = tuple(frame.replace(b"NUMBER", number.encode()) for frame in FRAMES)
    for _ in range(5):
        for link in [name for name, socket in pump.venue.sockets.items() if socket.kind is kind]:
            pump.give(FramesReceived(link, frames), Lane.MARKET if kind is LinkKind.MARKET else Lane.PRIVATE)
        pump.run(1)
    assert pump.told("unreadable") or kind is LinkKind.PRIVATE
    puppet.wanted = [Target("BTCUSDT", Decimal("0.010"))]
    pump.until(lambda: pump.position("mm") == Decimal("0.010"), within_s=70)
    assert pump.venue.position("BTCUSDT") == Decimal("0.010")


def test_an_input_of_an_unknown_kind_is_refused_loudly() -> None:
    pump, _ = world()
    for event in (object(), None, b"{}", LinkOpened):
        with pytest.raises(AssertionError, match="unreachable"):
            pump.engine.step(Stamped(10**6, pump.now_ns, Lane.CONTROL, event))  # type: ignore[arg-type]
