"""A second client changes the account during a run: the bot tells both values, stops, and goes on when they agree again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import Place, Side
from coldframe.core.reconciliation.account_settings import LOOK_MS, AccountSettings
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.model.effects import LinkKind
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

#: What another client does, and what it does to take it back.
CHANGES = {
    "position mode": ("/fapi/v1/positionSide/dual", {"dualSidePosition": "true"}, {"dualSidePosition": "false"}),
    "asset mode": ("/fapi/v1/multiAssetsMargin", {"multiAssetsMargin": "true"}, {"multiAssetsMargin": "false"}),
    "leverage": ("/fapi/v1/leverage", {"symbol": "BTCUSDT", "leverage": 50}, {"symbol": "BTCUSDT", "leverage": 20}),
    "margin mode": (
        "/fapi/v1/marginType",
        {"symbol": "BTCUSDT", "marginType": "ISOLATED"},
        {"symbol": "BTCUSDT", "marginType": "CROSSED"},
    ),
}


def world() -> tuple[Pump, Puppet]:
    puppet = Puppet()
    limits = OrderSideLimits(account=AccountSettings(leverage={"BTCUSDT": 20}, margin="cross"))
    pump = Pump([Trader(id="mm", make=lambda: puppet)], trading=limits)
    pump.run(3)
    return pump, puppet


def by_hand(pump: Pump, path: str, params: dict) -> None:
    assert pump.venue.by_hand("POST", path, params).status == 200


def orders(pump: Pump, puppet: Puppet) -> int:
    """How many more orders the exchange has open after the strategy has wanted one."""
    before = len(pump.venue.open_orders())
    puppet.patient = False
    low = pump.market.best("BTCUSDT", Side.BUY) - 100
    puppet.wanted = [Place(symbol="BTCUSDT", side=Side.BUY, quantity=Decimal("0.005"), price=low - before)]
    pump.run(2)
    return len(pump.venue.open_orders()) - before


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("deaf", [False, True])
def test_g14_no_order_adds_risk_while_account_and_bot_disagree(what: str, deaf: bool) -> None:
    """`deaf`: the report of it is lost with the user stream, so that only a look can find it."""
    path, there, back = CHANGES[what]
    pump, puppet = world()
    if deaf:
        pump.venue.refuses.add(LinkKind.PRIVATE)
        pump.venue.cut(LinkKind.PRIVATE)
    by_hand(pump, path, there)
    pump.venue.refuses.clear()
    pump.run(LOOK_MS / 1000 + 5)
    assert len(pump.told(f"{what} of")) == 1
    assert orders(pump, puppet) == 0
    by_hand(pump, path, back)
    pump.run(LOOK_MS / 1000 + 5)
    assert len(pump.told("again, as configured: new risk is taken again")) == 1
    assert orders(pump, puppet) == 1


def test_g14_refused_order_reveals_another_position_mode_at_once() -> None:
    pump, puppet = world()
    by_hand(pump, *CHANGES["position mode"][:2])
    assert orders(pump, puppet) == 0
    pump.run(6)
    assert len(pump.told("position mode of the account is hedge mode at the venue")) == 1


def test_settings_that_agree_are_never_told() -> None:
    pump, _ = world()
    pump.run(600)
    assert not pump.told("configured")
    weights = [call for call, _ in pump.sent if call == "GET /fapi/v1/accountConfig"]
    assert 9 <= len(weights) <= 10
