"""Every conditional type goes its whole way, one-way and hedged: it waits, is triggered once, fills, and is booked once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from coldframe import Intent, OrderChanged, OrderFilled, OrderType, Place, PositionSide, Side
from coldframe.config.venue import EmbeddedVenue, VenueAccount
from coldframe.core.state.protection import OrderPolicy
from coldframe.model.orders import OrderState
from tests.simulation.ends import B, reach
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

D = Decimal
S = OrderState
SIZE = D("0.010")
BUY, SELL = Side.BUY, Side.SELL
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def conditional(pump: Pump, kind: OrderType, side: Side, away: int, hedge: bool, **more: Any) -> Place:
    """An order whose trigger lies so far from the market; in hedge mode it buys on the long side and sells on the short."""
    best = pump.market.best(B, BUY)
    given: dict[str, Any] = {"quantity": SIZE, "trigger_price": best + away, **more}
    if kind in (OrderType.STOP, OrderType.TAKE_PROFIT):
        given["price"] = best + away + side.sign * 400
    if hedge:
        given.setdefault("position_side", LONG if side is BUY else SHORT)
    return Place(symbol=B, side=side, type=kind, **given)


def closing(pump: Pump, hedge: bool) -> Place:
    """Closes what is held on the long side, or at all."""
    more = {"position_side": LONG} if hedge else {}
    return conditional(pump, OrderType.STOP_MARKET, SELL, -100, hedge, quantity=D(0), close_position=True, **more)


#: Each order, and where the market goes, one after another, so that it is met.
STEPS: dict[str, tuple[Callable[[Pump, bool], Place], tuple[int, ...]]] = {
    "stop market": (lambda pump, hedge: conditional(pump, OrderType.STOP_MARKET, BUY, 100, hedge), (150,)),
    "close position": (closing, (-150,)),
    "stop": (lambda pump, hedge: conditional(pump, OrderType.STOP, SELL, -100, hedge), (-150,)),
    "take profit market": (lambda pump, hedge: conditional(pump, OrderType.TAKE_PROFIT_MARKET, SELL, 100, hedge), (150,)),
    "take profit": (lambda pump, hedge: conditional(pump, OrderType.TAKE_PROFIT, BUY, -100, hedge), (-150,)),
    "trailing": (
        lambda pump, hedge: conditional(
            pump, OrderType.TRAILING_STOP_MARKET, SELL, 0, hedge, trigger_price=None, callback_rate=D("0.1")
        ),
        (200, -300),
    ),
}


def states(puppet: Puppet, name: str) -> list[OrderState]:
    return [event.state for event in puppet.events if isinstance(event, OrderChanged) and event.client_order_id == name]


def goes_its_way(pump: Pump, puppet: Puppet, wanted: Intent, path: tuple[int, ...]) -> str:
    """Lets an order wait, moves the market over its trigger, and waits for its fill. Returns its name."""
    known = set(pump.venue.waiting_orders())
    puppet.wanted = [wanted]
    pump.until(lambda: len(set(pump.venue.waiting_orders()) - known) == 1)
    (name,) = set(pump.venue.waiting_orders()) - known
    pump.until(lambda: S.UNTRIGGERED in states(puppet, name))
    for distance in path:
        assert S.TRIGGERED not in states(puppet, name)
        reach(pump, distance)
        pump.run(2)
    pump.until(lambda: S.FILLED in states(puppet, name), 10)
    return name


def check_life(puppet: Puppet, name: str) -> None:
    told = states(puppet, name)
    assert told.count(S.TRIGGERED) == told.count(S.FILLED) == 1
    assert told.index(S.UNTRIGGERED) < told.index(S.TRIGGERED) < told.index(S.FILLED) == len(told) - 1


@pytest.mark.parametrize("hedge", [False, True], ids=["one-way", "hedge"])
def test_o27_every_type_is_triggered_filled_and_booked_once(hedge: bool) -> None:
    puppet = Puppet()
    settings = EmbeddedVenue(accounts=[VenueAccount(name="main", hedge_mode=hedge)])
    pump = Pump([Trader(id="mm", make=lambda: puppet)], settings=settings, hedge=hedge, on_end=OrderPolicy.CANCEL)
    pump.run(3)
    names = [goes_its_way(pump, puppet, make(pump, hedge), path) for make, path in STEPS.values()]
    for name in names:
        check_life(puppet, name)
    puppet.wanted = [conditional(pump, OrderType.STOP_MARKET, BUY, 900, hedge)]
    pump.until(lambda: len(pump.venue.waiting_orders()) == 1)
    (last,) = pump.venue.waiting_orders()
    pump.stop()
    assert pump.venue.waiting_orders() == pump.venue.open_orders() == {}
    assert states(puppet, last)[-1] is S.CANCELED
    assert S.TRIGGERED not in states(puppet, last)
    # The venue's own history: each order reached it once, each fill was booked once, and the positions agree.
    sent = Counter(params["clientAlgoId"] for method, params in pump.venue.carried_out if method == "algoOrder.place")
    assert sent == Counter([*names, last])
    booked = sorted(event.trade_id for event in puppet.events if isinstance(event, OrderFilled))
    assert booked == sorted(row.trade.id for row in pump.venue.books().trades if row.trade.symbol == B)
    account = pump.engine.accounts["mm"]
    sides = (LONG, SHORT) if hedge else (PositionSide.BOTH,)
    assert [account.position(B, side).quantity for side in sides] == [pump.venue.position(B, side) for side in sides]
    assert not hedge or pump.venue.position(B, SHORT) < 0
    assert pump.engine.orders.doubtful == 0
