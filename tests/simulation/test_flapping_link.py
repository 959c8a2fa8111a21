"""An order link that falls again and again: what is open is found and cancelled by REST, and each request is paid for once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from coldframe import Place, Side, Target
from coldframe.config.venue import EmbeddedVenue
from coldframe.core.connectivity.user_stream import UserStreamLimits
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.enums import OrderType, WorkingType
from coldframe.exits import Exit
from coldframe.model.effects import LinkKind
from tests.simulation.ends import code, report
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

D = Decimal
B = "BTCUSDT"


def world(**setup: Any) -> tuple[Pump, Puppet]:
    puppet = Puppet()
    pump = Pump([Trader(id="mm", make=lambda: puppet)], **setup)
    pump.run(3)
    return pump, puppet


def flap(pump: Pump, every: int) -> None:
    """The order link falls with every so-manieth request, which is lost with it; a log-on always comes through."""
    take, seen = pump.venue.request, [0]

    def request(link: str, frame: bytes) -> None:
        seen[0] += b"session.logon" not in frame
        if b"session.logon" not in frame and seen[0] % every == 0:
            pump.venue.cut(LinkKind.API)
        else:
            take(link, frame)

    pump.venue.request = request  # type: ignore[method-assign]


@pytest.mark.parametrize("every", [1, 2, 3, 5])
def test_o40_run_with_a_flapping_order_link_ends_with_no_orders(every: int) -> None:
    pump, puppet = world()
    low = pump.market.best(B, Side.BUY) - 500
    stop = {"type": OrderType.STOP_MARKET, "trigger_price": low + 2_000, "working_type": WorkingType.MARK_PRICE}
    resting = [Place(symbol=B, side=Side.BUY, quantity=D("0.005"), price=low - 10 * number) for number in range(6)]
    puppet.wanted = [*resting, Place(symbol=B, side=Side.BUY, quantity=D("0.005"), **stop)]  # type: ignore[arg-type]
    pump.until(lambda: len(pump.venue.open_orders()) == 6 and len(pump.venue.waiting_orders()) == 1)
    flap(pump, every)
    pump.stop()
    assert not pump.venue.open_orders()
    assert not pump.venue.waiting_orders()
    assert code(pump) is Exit.DONE
    # What adds risk never goes by the other way.
    assert not [call for call, _ in pump.sent if call.startswith(("POST /fapi/v1/order", "POST /fapi/v1/algoOrder", "PUT"))]


def test_o40_with_both_ways_down_the_end_names_what_is_left() -> None:
    pump, puppet = world()
    low = pump.market.best(B, Side.BUY) - 500
    puppet.wanted = [Place(symbol=B, side=Side.BUY, quantity=D("0.005"), price=low)]
    pump.until(lambda: bool(pump.venue.open_orders()))
    (name,) = pump.venue.open_orders()
    flap(pump, 1)
    pump.venue.busy |= {"DELETE /fapi/v1/order", "GET /fapi/v1/order"}
    pump.stop(within_s=120)
    assert code(pump) is Exit.UNSETTLED
    assert [order.client_order_id for order in report(pump).left] == [name]


def test_o40_the_user_stream_outlives_the_order_link() -> None:
    """The order link is away for longer than a listen key lives: reports come all the while, over a cut of their own link."""
    limits = UserStreamLimits(keep_alive_ms=100_000)
    pump, puppet = world(settings=EmbeddedVenue(listen_key_lifetime_s=D(240)), trading=OrderSideLimits(user_stream=limits))
    puppet.wanted = [Target(B, D("0.010"))]
    pump.until(lambda: pump.position("mm") == D("0.010"))
    pump.venue.refuses.add(LinkKind.API)
    pump.venue.cut(LinkKind.API)
    pump.run(300)
    pump.venue.cut(LinkKind.PRIVATE)
    pump.run(200)
    assert not pump.told("expired")
    close = {"symbol": B, "side": "SELL", "type": "MARKET", "quantity": "0.010", "reduceOnly": "true"}
    assert pump.venue.by_hand("POST", "/fapi/v1/order", close).status == 200
    pump.run(2)
    assert pump.position("mm") == 0
    pump.venue.refuses.clear()
    puppet.wanted = [Target(B, D("0.010"))]
    pump.until(lambda: pump.position("mm") == D("0.010"), 90)
