"""What counts as protection at an end: stops that trade when the position loses, as far as they cover it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from coldframe import OrderType, Place, Side
from coldframe.config.venue import EmbeddedVenue, VenueAccount
from coldframe.enums import PositionSide
from coldframe.exits import Exit
from tests.simulation.ends import LOT, B, at_venue, code, end_row, holding, reach, report, stop_at, world
from tests.simulation.pump import Pump

D = Decimal
HALF = D("0.005")

Make = Callable[[Decimal], Place]


def limit(trigger: int, beyond: int) -> Make:
    """A STOP with a limit price, so far from its trigger (positive: better for us)."""
    return lambda price: stop_at(price + trigger, type=OrderType.STOP, price=(price + trigger + beyond).quantize(D("0.1")))


def trailing(activate: int | None) -> Make:
    def make(price: Decimal) -> Place:
        more = {} if activate is None else {"activate_price": (price + activate).quantize(D("0.1"))}
        return stop_at(price, type=OrderType.TRAILING_STOP_MARKET, trigger_price=None, callback_rate=D(1), **more)

    return make


def market(trigger: int, quantity: Decimal = LOT, kind: OrderType = OrderType.STOP_MARKET) -> Make:
    return lambda price: stop_at(price + trigger, quantity, type=kind)


def whole(trigger: int, kind: OrderType = OrderType.STOP_MARKET) -> Make:
    return lambda price: stop_at(price + trigger, D(0), type=kind, close_position=True, reduce_only=False)


def resting(price: Decimal) -> Place:
    return Place(symbol=B, side=Side.SELL, quantity=LOT, price=price + 500, reduce_only=True)


#: Orders of a strategy that holds one lot, and how much of that is unprotected at the end.
ENDS: dict[str, tuple[list[Make], str]] = {
    "nothing": ([], "0.010"),
    "a stop": ([market(-500)], "0"),
    "a stop for half": ([market(-500, HALF)], "0.005"),
    "stops for two halves": ([market(-500, HALF), market(-600, HALF)], "0"),
    "a stop for all there is": ([whole(-500)], "0"),
    "a take-profit": ([market(500, kind=OrderType.TAKE_PROFIT_MARKET)], "0.010"),
    "a take-profit for all there is": ([whole(500, OrderType.TAKE_PROFIT_MARKET)], "0.010"),
    "a resting order": ([resting], "0.010"),
    "a take-profit, and a stop for half": ([market(500, kind=OrderType.TAKE_PROFIT_MARKET), market(-500, HALF)], "0.005"),
    "a take-profit and a stop": ([market(500, HALF, OrderType.TAKE_PROFIT_MARKET), market(-500)], "0"),
    "a stop that sells at its limit": ([limit(-500, -50)], "0"),
    "a stop that sells at its trigger": ([limit(-500, 0)], "0"),
    "a stop that would rest": ([limit(-500, 100)], "0.010"),
    "a trailing stop": ([trailing(None)], "0"),
    "a trailing stop that is not active": ([trailing(500)], "0.010"),
}


def ended(makes: list[Make]) -> Pump:
    pump, puppet = holding()
    puppet.wanted = [make(pump.market.best(B, Side.BUY)) for make in makes]
    pump.until(lambda: len(at_venue(pump)) == len(makes))
    pump.run(1)
    pump.stop()
    return pump


@pytest.mark.parametrize("name", ENDS)
def test_o38_what_protects_a_position_at_the_end(name: str) -> None:
    makes, bare = ENDS[name]
    pump = ended(makes)
    (position,) = report(pump).positions
    kept = {order.client_order_id for order in report(pump).kept}
    assert at_venue(pump) == kept == {*position.stops, *position.others}
    assert len(kept) == len(makes), "all of them only reduce, so all of them stay"
    assert position.unprotected == D(bare)
    assert code(pump) is (Exit.UNPROTECTED if position.unprotected else Exit.DONE)
    assert [row["quantity"] for row in end_row(pump)["unprotected"]] == ([bare] if D(bare) else [])


HOLDS = "mm holds BTCUSDT 0.010: "
NO_STOP = "no stop stands at the venue"
BESIDE = "; kept, and limiting no loss: "
SAID = {
    "nothing": f"warning: {HOLDS}0.010 of it unprotected: {NO_STOP}",
    "a stop": f"info: {HOLDS}protected by {{STOP_MARKET}}",
    "a take-profit": f"warning: {HOLDS}0.010 of it unprotected: {NO_STOP}{BESIDE}{{TAKE_PROFIT_MARKET}}",
    "a stop that would rest": f"warning: {HOLDS}0.010 of it unprotected: {NO_STOP}{BESIDE}{{STOP}}",
    "a take-profit, and a stop for half": f"warning: {HOLDS}0.005 of it unprotected: stops cover 0.005 of it: {{STOP_MARKET}}"
    f"{BESIDE}{{TAKE_PROFIT_MARKET}}",
}


@pytest.mark.parametrize("name", SAID)
def test_the_end_says_what_protects_and_what_does_not(name: str) -> None:
    pump = ended(ENDS[name][0])
    names = {str(order.type): order.client_order_id for order in report(pump).kept}
    assert pump.told("mm holds") == [SAID[name].format(**names)]


def test_a_trailing_stop_protects_from_its_activation_on() -> None:
    pump, puppet = holding()
    puppet.wanted = [trailing(300)(pump.market.best(B, Side.BUY))]
    pump.until(lambda: len(at_venue(pump)) == 1)
    (order,) = pump.engine.orders.live
    assert not order.activated
    reach(pump, 400)
    pump.until(lambda: order.activated)
    pump.stop()
    assert report(pump).positions[0].unprotected == 0


def test_what_a_trailing_stop_has_reached_outlives_a_restart() -> None:
    pump, puppet = holding()
    puppet.wanted = [trailing(300)(pump.market.best(B, Side.BUY))]
    pump.until(lambda: len(at_venue(pump)) == 1)
    reach(pump, 400)
    pump.until(lambda: next(iter(pump.engine.orders.live)).activated)
    pump.restart()
    pump.run(5)
    pump.stop()
    assert report(pump).positions[0].unprotected == 0


@pytest.mark.parametrize("guarded", [PositionSide.LONG, PositionSide.SHORT])
def test_in_hedge_mode_each_side_needs_its_own_stop(guarded: PositionSide) -> None:
    settings = EmbeddedVenue(accounts=[VenueAccount(name="one", hedge_mode=True)])
    pump, puppet = world(settings=settings, hedge=True)
    long, short = PositionSide.LONG, PositionSide.SHORT
    opening = {"symbol": B, "type": OrderType.MARKET, "quantity": LOT}
    puppet.wanted = [Place(side=Side.BUY, position_side=long, **opening), Place(side=Side.SELL, position_side=short, **opening)]
    pump.until(lambda: {pump.venue.position(B, long), pump.venue.position(B, short)} == {LOT, -LOT})
    best, side = pump.market.best(B, Side.BUY), Side.SELL if guarded is long else Side.BUY
    stop = {"side": side, "reduce_only": False, "position_side": guarded}
    # A stop for the one side, and for the other what looks like one: a take-profit at the same trigger.
    other = {"side": side.opposite, "reduce_only": False, "position_side": short if guarded is long else long}
    trigger = best + 500 * side.sign
    puppet.wanted = [stop_at(trigger, **stop), stop_at(trigger, type=OrderType.TAKE_PROFIT_MARKET, **other)]
    pump.until(lambda: len(at_venue(pump)) == 2)
    pump.stop()
    found = {position.position_side: position.unprotected for position in report(pump).positions}
    assert found == {guarded: 0, other["position_side"]: LOT}
    assert code(pump) is Exit.UNPROTECTED
    assert len(at_venue(pump)) == 2
