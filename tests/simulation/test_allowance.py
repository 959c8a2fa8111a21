"""A supervisor that starts a losing bot again and again: all its lives together lose no more than one may."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import Place, Side
from coldframe.config.venue import EmbeddedVenue, VenueAccount
from coldframe.core.lifecycle.first_minutes import FirstMinutes
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.model.inputs import ResumeAsked
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

D = Decimal
LIMIT = D(200)


def world(**more: object) -> tuple[Pump, Puppet]:
    puppet = Puppet()
    puppet.patient = False
    settings = EmbeddedVenue(accounts=[VenueAccount(name="main", balance=D(100_000))])
    budget = more.pop("budget", Budget())
    return Pump([Trader(id="mm", make=lambda: puppet, budget=budget)], settings=settings, **more), puppet  # type: ignore[arg-type]


def buy_and_sell(pump: Pump, puppet: Puppet) -> None:
    """Loses about 60 in fees, if it may."""
    for side in (Side.BUY, Side.SELL):
        fills = pump.engine.accounts["mm"].fills
        puppet.wanted = [Place(symbol="BTCUSDT", side=side, quantity=D(1), price=D(61_000 if side is Side.BUY else 59_000))]
        pump.until(lambda before=fills: pump.engine.accounts["mm"].fills > before, 3, must=False)  # type: ignore[misc]


def lost(pump: Pump) -> Decimal:
    return D(100_000) - pump.venue.books().account.wallet


@pytest.mark.parametrize("limits", [{"risk": RiskLimits(max_loss=LIMIT)}, {"budget": Budget(max_loss=LIMIT)}])
def test_a_crash_loop_loses_no_more_than_one_life_may(limits: dict) -> None:
    pump, puppet = world(**limits)
    pump.run(2)
    for _ in range(8):
        buy_and_sell(pump, puppet)
        pump.restart()
        pump.run(2)
    assert LIMIT < lost(pump) < LIMIT + 62
    assert pump.venue.position("BTCUSDT") == 0


def test_a_drawdown_is_counted_over_all_lives() -> None:
    pump, puppet = world(risk=RiskLimits(max_drawdown=LIMIT))
    pump.run(2)
    for _ in range(8):
        buy_and_sell(pump, puppet)
        pump.restart()
        pump.run(2)
    assert LIMIT < lost(pump) < LIMIT + 62


def test_after_a_resume_there_is_one_allowance_more() -> None:
    pump, puppet = world(risk=RiskLimits(max_loss=LIMIT))
    pump.run(2)
    for life in range(16):
        buy_and_sell(pump, puppet)
        pump.restart()
        pump.run(2)
        if life == 7:
            pump.give(ResumeAsked(None, 1))
            pump.run(1)
    assert 2 * LIMIT < lost(pump) < 2 * LIMIT + 2 * 62


def test_each_life_begins_small_again() -> None:
    first = FirstMinutes(1, D("0.1"))
    pump, puppet = world(budget=Budget(max_position=D(1)), first_minutes=first)
    for _ in range(2):
        pump.run(2)
        fills = pump.engine.accounts["mm"].fills
        buy_and_sell(pump, puppet)
        assert pump.engine.accounts["mm"].fills == fills
        pump.run(60)
        buy_and_sell(pump, puppet)
        assert pump.engine.accounts["mm"].fills == fills + 2
        pump.restart()
    assert len(pump.told("1 min are over")) == 2
