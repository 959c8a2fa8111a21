"""Orders that only close, on a contract that several strategies trade: when their strategy's position has gone, so do they."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from coldframe import OrderType, Place, Side, Target
from coldframe.config.venue import EmbeddedVenue, VenueAccount
from coldframe.core.state.limits import Budget
from coldframe.enums import PositionSide
from tests.simulation.ends import B
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

OWN, OTHER = Decimal("0.004"), Decimal("0.020")
LIMIT = Decimal("0.010")


def two(**setup: Any) -> tuple[Pump, Puppet, Puppet]:
    mine, other = Puppet(), Puppet()
    traders = [
        Trader(id="mm", make=lambda: mine, budget=Budget(max_position=LIMIT)),
        Trader(id="two", make=lambda: other),
    ]
    return Pump(traders, **setup), mine, other


def stop(pump: Pump, side: Side, quantity: Decimal, **more: Any) -> Place:
    trigger = pump.market.best(B, side) - side.sign * -300
    fields = {"type": OrderType.STOP_MARKET, "trigger_price": trigger, "reduce_only": True, **more}
    return Place(symbol=B, side=side, quantity=quantity, **fields)


def guarded(sign: int) -> tuple[Pump, Puppet]:
    """Both strategies hold on one side, and the first one has a stop over its part."""
    pump, mine, other = two()
    mine.wanted, other.wanted = [Target(B, sign * OWN)], [Target(B, sign * OTHER)]
    pump.until(lambda: (pump.position("mm"), pump.position("two")) == (sign * OWN, sign * OTHER))
    mine.wanted = [stop(pump, Side.SELL if sign > 0 else Side.BUY, OWN)]
    pump.until(lambda: len(pump.venue.waiting_orders()) == 1)
    return pump, mine


@pytest.mark.parametrize("sign", [1, -1])
def test_a_stop_goes_with_the_position_it_was_for(sign: int) -> None:
    pump, mine = guarded(sign)
    mine.wanted = [Target(B, Decimal(0))]
    pump.until(lambda: not pump.position("mm"))
    pump.until(lambda: not pump.venue.waiting_orders(), 2)
    assert len(pump.told("cancelled, as its position is closed")) == 1
    assert pump.position("two") == sign * OTHER


def test_a_stop_stays_with_a_part_of_its_position() -> None:
    pump, mine = guarded(1)
    mine.wanted = [Target(B, OWN / 2)]
    pump.until(lambda: pump.position("mm") == OWN / 2)
    pump.run(5)
    assert len(pump.venue.waiting_orders()) == 1


def far(pump: Pump, side: Side, quantity: Decimal) -> Place:
    """An order that rests a long way from the market."""
    return Place(symbol=B, side=side, quantity=quantity, price=pump.market.best(B, side) - side.sign * 500)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("more", "taken"), [(Decimal("0.002"), True), (Decimal("0.004"), False)])
def test_a_stop_that_has_become_too_large_counts_whole(sign: int, more: Decimal, taken: bool) -> None:
    """0.004 are left of 0.008, and the stop over all of it: with orders of 0.004 and `more` it may end 0.010 on the other side."""
    pump, mine, other = two()
    held, side = 2 * OWN, Side.SELL if sign > 0 else Side.BUY
    mine.wanted, other.wanted = [Target(B, sign * held)], [Target(B, sign * OTHER)]
    pump.until(lambda: (pump.position("mm"), pump.position("two")) == (sign * held, sign * OTHER))
    mine.wanted = [stop(pump, side, held)]
    pump.until(lambda: len(pump.venue.waiting_orders()) == 1)
    mine.wanted = [Target(B, sign * OWN)]
    pump.until(lambda: pump.position("mm") == sign * OWN)
    mine.wanted = [far(pump, side, OWN)]
    pump.until(lambda: len(pump.venue.open_orders()) == 1)
    mine.wanted = [far(pump, side, more)]
    pump.run(3)
    assert len(pump.venue.open_orders()) == 1 + taken
    assert bool(pump.told("POSITION: position in BTCUSDT at worst would be")) is not taken


@pytest.mark.parametrize("exit_first", [True, False])
@pytest.mark.parametrize(("more", "taken"), [(Decimal("0.006"), True), (Decimal("0.008"), False)])
def test_stops_of_one_price_count_together(more: Decimal, taken: bool, exit_first: bool) -> None:
    """One move triggers both, 0.004 and `more`, before either is cancelled: with an exit that rests they may exceed 0.010."""
    pump, mine, other = two()
    held = 2 * OWN
    mine.wanted, other.wanted = [Target(B, -held)], [Target(B, -OTHER)]
    pump.until(lambda: (pump.position("mm"), pump.position("two")) == (-held, -OTHER))
    wanted = [stop(pump, Side.BUY, OWN), stop(pump, Side.BUY, more)]
    for intent in [far(pump, Side.BUY, held), *wanted] if exit_first else [*wanted, far(pump, Side.BUY, held)]:
        mine.wanted = [intent]
        pump.run(2)
    assert len(pump.venue.waiting_orders()) + len(pump.venue.open_orders()) == 2 + taken
    assert bool(pump.told("POSITION: position in BTCUSDT at worst would be 0.012")) is not taken


@pytest.mark.parametrize(("more", "taken"), [(Decimal("0.006"), True), (Decimal("0.008"), False)])
def test_new_risk_counts_what_may_still_close(more: Decimal, taken: bool) -> None:
    """0.004 held, a stop and a take-profit over it: with 0.006 more to sell it ends at -0.010 at worst, and 0.010 are allowed."""
    pump, mine = guarded(1)
    mine.wanted = [stop(pump, Side.SELL, OWN, type=OrderType.TAKE_PROFIT_MARKET, trigger_price=pump.market.best(B, Side.BUY) + 300)]
    pump.until(lambda: len(pump.venue.waiting_orders()) == 2)
    mine.wanted = [Place(symbol=B, side=Side.SELL, quantity=more, price=pump.market.best(B, Side.SELL) + 100)]
    pump.run(3)
    assert bool(pump.venue.open_orders()) is taken


def test_an_exit_is_not_refused_for_what_may_still_close() -> None:
    """The exit is told by itself: what it leaves behind is cancelled."""
    pump, mine = guarded(1)
    above = pump.market.best(B, Side.BUY) + 300
    mine.wanted = [stop(pump, Side.SELL, OWN, type=OrderType.TAKE_PROFIT_MARKET, trigger_price=above + i) for i in range(2)]
    pump.until(lambda: len(pump.venue.waiting_orders()) == 3)
    mine.wanted = [Target(B, Decimal(0))]
    pump.until(lambda: not pump.position("mm"))
    pump.until(lambda: not pump.venue.waiting_orders(), 2)


def test_alone_the_venue_ends_it() -> None:
    mine = Puppet()
    pump = Pump([Trader(id="mm", make=lambda: mine, budget=Budget(max_position=LIMIT))])
    mine.wanted = [Target(B, OWN)]
    pump.until(lambda: pump.position("mm") == OWN)
    mine.wanted = [stop(pump, Side.SELL, OWN)]
    pump.until(lambda: len(pump.venue.waiting_orders()) == 1)
    mine.wanted = [Target(B, Decimal(0))]
    pump.until(lambda: not pump.position("mm"))
    pump.run(5)
    assert not pump.told("cancelled, as its position is closed")


def test_in_hedge_mode_each_side_has_its_own() -> None:
    pump, mine, other = two(settings=EmbeddedVenue(accounts=[VenueAccount(name="one", hedge_mode=True)]), hedge=True)
    longer = {"symbol": B, "type": OrderType.MARKET, "position_side": PositionSide.LONG}
    mine.wanted = [Place(side=Side.BUY, quantity=OWN, **longer)]
    other.wanted = [Place(side=Side.BUY, quantity=OTHER, **longer)]
    pump.until(lambda: (pump.position("mm"), pump.position("two")) == (OWN, OTHER))
    mine.wanted = [stop(pump, Side.SELL, OWN, position_side=PositionSide.LONG)]
    pump.until(lambda: len(pump.venue.waiting_orders()) == 1)
    mine.wanted = [Place(side=Side.SELL, quantity=OWN, **longer)]
    pump.until(lambda: not pump.position("mm"))
    pump.until(lambda: not pump.venue.waiting_orders(), 2)
    assert pump.position("two") == OTHER
