"""A strategy's position is what the account says: others close it, and the bot neither sells it again nor reverses it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import PositionChanged, Target, hookimpl
from coldframe.config.venue import EmbeddedVenue, VenueAccount
from coldframe.core.foreign import Foreign
from coldframe.core.positions import EXTERNAL
from coldframe.core.trading import TradingLimits
from coldframe.terms import PositionSide
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

B = "BTCUSDT"
HELD = Decimal("0.010")
SIDES = (PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT)


class Holder(Puppet):
    """A puppet that hears of its position."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[PositionChanged] = []

    @hookimpl
    def on_position(self, event: PositionChanged) -> None:
        self.told.append(event)


def holding(position: Decimal = HELD, *names: str, **more: object) -> tuple[Pump, list[Holder]]:
    """One strategy (or those named) that has reached its target."""
    holders = [Holder() for _ in names or ("mm",)]
    traders = [Trader(id=name, make=lambda one=one: one) for name, one in zip(names or ("mm",), holders, strict=True)]
    pump = Pump(traders, **more)  # type: ignore[arg-type]
    for holder in holders:
        holder.wanted = [Target(B, position)]
    pump.until(lambda: all(pump.position(trader.id) == position for trader in traders))
    return pump, holders


def by_hand(pump: Pump, side: str, quantity: str, **more: str) -> None:
    order = {"symbol": B, "side": side, "type": "MARKET", "quantity": quantity, **more}
    assert pump.venue.by_hand("POST", "/fapi/v1/order", order).status == 200


def owned(pump: Pump) -> Decimal:
    """What all strategies and external have together."""
    return sum((account.net(B) for account in pump.engine.accounts.values()), Decimal(0))


def at_venue(pump: Pump) -> Decimal:
    return sum((pump.venue.position(B, side) for side in SIDES), Decimal(0))


def placed(pump: Pump) -> list[tuple[str, object]]:
    return [(method, params) for method, params in pump.sent if method == "order.place"]


def test_o34_a_position_closed_by_hand_is_not_sold_again() -> None:
    """O34: the target zero that follows sends nothing, and the account stays flat."""
    pump, (holder,) = holding()
    before = len(placed(pump))
    by_hand(pump, "SELL", "0.010", reduceOnly="true")
    pump.until(lambda: pump.position("mm") == 0, 5)
    holder.wanted = [Target(B, Decimal(0))]
    pump.run(30)
    assert at_venue(pump) == owned(pump) == 0
    assert len(placed(pump)) == before
    (told,) = holder.told
    assert (told.quantity, told.position, told.position_side) == (-HELD, Decimal(0), PositionSide.BOTH)
    assert pump.engine.accounts[EXTERNAL].net(B) == 0
    pump.stop()


@pytest.mark.parametrize(("position", "side"), [(HELD, "SELL"), (-HELD, "BUY")])
@pytest.mark.parametrize(("quantity", "left", "external"), [("0.004", "0.006", "0"), ("0.010", "0", "0"), ("0.014", "0", "0.004")])
def test_what_goes_past_zero_is_external(position: Decimal, side: str, quantity: str, left: str, external: str) -> None:
    pump, (holder,) = holding(position)
    sign = 1 if position > 0 else -1
    by_hand(pump, side, quantity)
    pump.until(lambda: bool(holder.told), 5)
    pump.run(3)
    assert pump.engine.accounts[EXTERNAL].net(B) == -sign * Decimal(external)
    assert owned(pump) == at_venue(pump)
    # Its target is still wanted: what others took away is bought back, and never more than that.
    assert pump.position("mm") in (sign * Decimal(left), position)


def test_an_external_order_that_adds_stays_external() -> None:
    pump, (holder,) = holding()
    by_hand(pump, "BUY", "0.020")
    pump.run(5)
    assert (pump.position("mm"), pump.engine.accounts[EXTERNAL].net(B)) == (HELD, Decimal("0.020"))
    assert holder.told == []
    holder.wanted = [Target(B, Decimal(0))]
    pump.until(lambda: pump.position("mm") == 0, 10)
    assert at_venue(pump) == Decimal("0.020"), "what others hold is not touched"


@pytest.mark.parametrize("rule", Foreign)
def test_o34_closed_while_the_bot_was_off(rule: Foreign) -> None:
    pump, _ = holding(trading=TradingLimits(foreign=rule))
    pump.kill()
    by_hand(pump, "SELL", "0.010", reduceOnly="true")
    pump.run(2)
    pump.restart()
    before = len(placed(pump))
    pump.run(10)
    assert pump.failed is None, pump.failed
    assert at_venue(pump) == owned(pump)
    assert all(params.get("side") != "SELL" for _, params in placed(pump)[before:])  # type: ignore[attr-defined]


def test_two_strategies_share_what_is_taken_from_both() -> None:
    pump, holders = holding(HELD, "one", "two")
    for holder in holders:
        holder.act = lambda view: []
    by_hand(pump, "SELL", "0.010")
    pump.until(lambda: all(holder.told for holder in holders), 5)
    parts = [holder.told[0].quantity for holder in holders]
    assert sum(parts) == -HELD
    pump.run(1)
    assert owned(pump) == at_venue(pump)


def test_hedge_mode_closed_by_hand_stays_closed() -> None:
    settings = EmbeddedVenue(accounts=[VenueAccount(name="main", hedge_mode=True)])
    pump, (holder,) = holding(HELD, settings=settings, hedge=True)
    by_hand(pump, "SELL", "0.010", positionSide="LONG")
    pump.until(lambda: bool(holder.told), 5)
    holder.wanted = [Target(B, Decimal(0))]
    pump.run(20)
    assert (at_venue(pump), owned(pump)) == (0, 0)
