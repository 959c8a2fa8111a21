"""What stood on the account before a start is refused, ignored or adopted, and what is traded by hand later is external."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from coldframe import Place, Side
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.external import ExternalPolicy
from tests.simulation.ends import B, bid
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

D = Decimal


def by_hand(pump: Pump, side: str, quantity: str, **more: str) -> None:
    order = {"symbol": B, "side": side, "type": "MARKET", "quantity": quantity, **more}
    assert pump.venue.by_hand("POST", "/fapi/v1/order", order).status == 200


def world(rule: ExternalPolicy) -> tuple[Pump, Puppet]:
    """A bot that starts on an account with a position of 0.010 and a bid of another client."""
    puppet = Puppet()
    pump = Pump([Trader(id="mm", make=lambda: puppet)], trading=OrderSideLimits(external=rule))
    by_hand(pump, "BUY", "0.010")
    price = f"{pump.market.best(B, Side.BUY) - 900:.1f}"
    by_hand(pump, "BUY", "0.010", type="LIMIT", price=price, timeInForce="GTC", newClientOrderId="web_by_hand")
    return pump, puppet


def adds_up(pump: Pump) -> bool:
    """Whether strategies and external are the account's position, and nothing had to be adjusted."""
    external = pump.engine.state.external.account.net(B)
    return bool(pump.position("mm") + external == pump.venue.position(B) and pump.engine.state.holdings.adjustments == [])


def test_o24_a_start_names_all_that_is_not_its_own() -> None:
    pump, puppet = world(ExternalPolicy.REFUSE)
    puppet.patient, puppet.wanted = False, [bid(pump)]
    pump.until(lambda: pump.failed is not None)
    assert pump.failed is not None
    refused = [line for line in pump.failed.text.splitlines() if "belongs to no strategy" in line]
    assert len(refused) == 2
    assert "position of 0.010 BTCUSDT" in refused[0]
    assert "web_by_hand" in refused[1]
    assert set(pump.venue.open_orders()) == {"web_by_hand"}
    assert pump.venue.position(B) == D("0.010")


def quotes(pump: Pump, puppet: Puppet) -> None:
    """Its own bid rests beside what stood there."""
    puppet.wanted = [bid(pump)]
    pump.until(lambda: len(pump.venue.open_orders()) == 2)


def test_o24_ignored_it_is_external_and_stays() -> None:
    pump, puppet = world(ExternalPolicy.IGNORE)
    quotes(pump, puppet)
    assert pump.engine.state.external.account.net(B) == D("0.010")
    assert pump.position("mm") == 0
    assert adds_up(pump)
    pump.stop()
    assert set(pump.venue.open_orders()) == {"web_by_hand"}
    assert pump.venue.position(B) == D("0.010")


def test_o24_adopted_it_is_the_strategys_and_goes_with_it() -> None:
    pump, puppet = world(ExternalPolicy.ADOPT)
    quotes(pump, puppet)
    assert pump.engine.state.external.account.net(B) == 0
    assert pump.position("mm") == D("0.010")
    assert adds_up(pump)
    pump.stop()
    assert pump.venue.open_orders() == {}  # taken over, and cancelled at the end of the run


def trading(**more: Any) -> tuple[Pump, Puppet]:
    puppet = Puppet()
    pump = Pump([Trader(id="mm", make=lambda: puppet)], **more)
    pump.run(3)
    return pump, puppet


def test_o21_orders_by_hand_during_a_run_are_external() -> None:
    pump, puppet = trading()
    puppet.wanted = [Place(symbol=B, side=Side.BUY, quantity=D("0.005"), price=pump.market.best(B, Side.SELL))]
    by_hand(pump, "BUY", "0.020")
    pump.until(lambda: bool(pump.told("an order of no strategy: BTCUSDT BUY 0.020")))
    by_hand(pump, "SELL", "0.005")
    pump.until(lambda: bool(pump.told("an order of no strategy: BTCUSDT SELL 0.005")))
    pump.run(2)
    assert pump.engine.state.external.account.net(B) == D("0.015")
    assert pump.position("mm") == D("0.005")
    assert adds_up(pump)
    assert list(pump.engine.state.trading) == []
    pump.stop()
    assert adds_up(pump)
