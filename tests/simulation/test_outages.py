"""What comes between a bot and its venue: no name, a long way, connections that end within a request, no descriptors."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from coldframe import Place, Side
from coldframe.config.venue import EmbeddedVenue, VenueFaults
from coldframe.core.connectivity.api_session import SessionLimits
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.exits import Exit
from coldframe.model.effects import LinkKind
from coldframe.model.orders import OrderState
from tests.simulation.ends import B, bid, code, report
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

D = Decimal
NO_NAME = "Temporary failure in name resolution"
NO_DESCRIPTORS = "Too many open files"


def world(**more: Any) -> tuple[Pump, Puppet]:
    puppet = Puppet()
    return Pump([Trader(id="mm", make=lambda: puppet)], **more), puppet


def resting(pump: Pump, puppet: Puppet, number: int = 6) -> set[str]:
    """So many orders rest far below the market, and the bot knows it. Returns their names."""
    low = pump.market.best(B, Side.BUY) - 1_000
    puppet.wanted = [Place(symbol=B, side=Side.BUY, quantity=D("0.005"), price=low - 10 * at) for at in range(number)]
    pump.until(lambda: states(pump) == [OrderState.ACCEPTED] * number and complete(pump))
    return set(pump.venue.open_orders())


def states(pump: Pump) -> list[OrderState]:
    return [order.state for order in pump.engine.orders.live]


def complete(pump: Pump) -> bool:
    trading = pump.engine.trading
    return trading is not None and trading.reports_complete


def placed(pump: Pump) -> Counter[object]:
    """How often each order was sent."""
    return Counter(params["newClientOrderId"] for method, params in pump.sent if method == "order.place")


@pytest.mark.parametrize("why", [NO_NAME, NO_DESCRIPTORS], ids=["no name", "no descriptors"])
@pytest.mark.parametrize("falls", [True, False], ids=["all at once", "one after another"])
def test_n2_p12_orders_outlive_a_venue_that_is_out_of_reach(why: str, falls: bool) -> None:
    """They are compared when it is back, and none is sent again."""
    pump, puppet = world()
    names = resting(pump, puppet)
    if falls:
        pump.venue.vanish(why)
    else:
        pump.venue.unreachable = why
        for kind in LinkKind:
            pump.venue.cut(kind)
            pump.run(3)
    pump.until(lambda: not complete(pump))
    pump.until(lambda: len(pump.told(why)) >= 6)
    assert states(pump) == [OrderState.ACCEPTED] * 6
    assert not complete(pump)
    pump.venue.unreachable = ""
    pump.until(lambda: complete(pump), 120)
    assert states(pump) == [OrderState.ACCEPTED] * 6
    assert set(pump.venue.open_orders()) == names
    puppet.wanted = [bid(pump)]
    pump.until(lambda: len(pump.venue.open_orders()) == 7)  # it trades on
    pump.stop()
    assert pump.venue.open_orders() == {}
    assert code(pump) is Exit.DONE
    assert report(pump).left == ()
    assert set(placed(pump).values()) == {1}
    assert len(placed(pump)) == 7


def test_c6_a_bot_far_away_logs_on_trades_and_names_the_key() -> None:
    """Every answer comes later than the fate of an order may be open: each is in doubt for a moment, and none is lost."""
    far = EmbeddedVenue(faults=VenueFaults(latency_ms=1_500))
    limits = OrderSideLimits(session=SessionLimits(answer_ms=1_000))
    pump, puppet = world(settings=far, trading=limits, grace_ms=15_000)
    names = resting(pump, puppet)
    assert pump.told("logged on")
    pump.until(lambda: bool(pump.told("set [orders] answer_ms = 4000")))
    assert len(pump.told("outcome unknown")) >= 6, "they were in doubt"
    pump.stop()
    assert {order.state for order in (pump.engine.orders.get(name) for name in names) if order} == {OrderState.CANCELED}
    assert pump.engine.orders.doubtful == len(states(pump)) == 0
    assert placed(pump) == dict.fromkeys(names, 1)


#: Where connections end, in bytes of requests behind their opening: within the order, and within what cancels it. With much fewer
#: there would be no room for a question on one connection, and no bot could ever end its order.
WITHIN_THE_ORDER, WITHIN_THE_CANCEL = (560, 600, 640), (700, 740, 780)


@pytest.mark.parametrize("after_bytes", [*WITHIN_THE_ORDER, *WITHIN_THE_CANCEL])
def test_o3_a_connection_cut_within_a_request_leaves_no_doubt(after_bytes: int) -> None:
    """Every connection of the WebSocket API ends so, in the midst of whatever is asked behind the log-on."""
    settings = EmbeddedVenue(faults=VenueFaults(api_cut_after_bytes=after_bytes))
    pump, puppet = world(settings=settings, grace_ms=30_000)
    puppet.wanted = [Place(symbol=B, side=Side.BUY, quantity=D("0.005"), price=pump.market.best(B, Side.BUY) - 1_000)]
    pump.until(lambda: bool(placed(pump)))
    pump.run(1)
    arrived = [method for method, _ in pump.venue.carried_out if method == "order.place"]
    assert len(arrived) == (0 if after_bytes in WITHIN_THE_ORDER else 1)
    pump.stop()
    assert pump.venue.open_orders() == {}
    assert pump.engine.orders.doubtful == len(states(pump)) == 0
    assert code(pump) is Exit.DONE
    assert list(placed(pump).values()) == [1], "whatever the venue has had of it, it was sent once"
    assert len(pump.told("logged on again")) >= 1


@pytest.mark.parametrize("skew_ms", [5_000, -5_000])
def test_c1_a_clock_five_seconds_off_costs_no_order(skew_ms: int) -> None:
    """The bot begins with what the start has measured; its requests carry the venue's time all the same."""
    settings = EmbeddedVenue(faults=VenueFaults(clock_skew_ms=skew_ms))
    pump, puppet = world(settings=settings, clock_offset_ms=skew_ms)
    resting(pump, puppet)
    assert not pump.told("-1021")
    assert pump.engine.clock_offset_ms == pytest.approx(skew_ms, abs=100)
    pump.stop()
    assert code(pump) is Exit.DONE
