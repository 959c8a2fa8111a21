"""A second client changes the account during a run: the bot tells both values, stops, and goes on when they agree again."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from coldframe import Place, Side
from coldframe.core.reconciliation.account_settings import LOOK_MS, AccountSettings
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.model.effects import LinkKind
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

Params = Mapping[str, str | int]
#: What another client does, what it does to take it back, and what the bot says of it with both values.
CHANGES: dict[str, tuple[str, Params, Params, tuple[str, str]]] = {
    "position mode": (
        "/fapi/v1/positionSide/dual",
        {"dualSidePosition": "true"},
        {"dualSidePosition": "false"},
        ("hedge mode", "one-way mode (orders.position_mode)"),
    ),
    "asset mode": (
        "/fapi/v1/multiAssetsMargin",
        {"multiAssetsMargin": "true"},
        {"multiAssetsMargin": "false"},
        ("multi-assets mode", "single-asset mode"),
    ),
    "leverage": (
        "/fapi/v1/leverage",
        {"symbol": "BTCUSDT", "leverage": 50},
        {"symbol": "BTCUSDT", "leverage": 20},
        ("50", "20 (orders.leverage)"),
    ),
    "margin mode": (
        "/fapi/v1/marginType",
        {"symbol": "BTCUSDT", "marginType": "ISOLATED"},
        {"symbol": "BTCUSDT", "marginType": "CROSSED"},
        ("isolated", "cross (orders.margin)"),
    ),
}
IN_SYMBOL = ("leverage", "margin mode")
SYMBOLS = ("BTCUSDT", "ETHUSDT")
CONFIGURED = AccountSettings(leverage={"BTCUSDT": 20}, margin="cross")


def world(configured: AccountSettings = CONFIGURED) -> tuple[Pump, Puppet]:
    puppet = Puppet()
    limits = OrderSideLimits(account=configured)
    pump = Pump([Trader(id="mm", make=lambda: puppet, symbols=SYMBOLS)], trading=limits)
    pump.run(3)
    return pump, puppet


def by_hand(pump: Pump, path: str, params: Params) -> None:
    assert pump.venue.by_hand("POST", path, params).status == 200


def orders(pump: Pump, puppet: Puppet, symbol: str = "BTCUSDT") -> int:
    """How many more orders the exchange has open after the strategy has wanted one."""
    before = len(pump.venue.open_orders())
    puppet.patient = False
    best = pump.market.best(symbol, Side.BUY)
    quantity = Decimal("0.005") if symbol == "BTCUSDT" else Decimal("0.1")
    puppet.wanted = [Place(symbol=symbol, side=Side.BUY, quantity=quantity, price=int(best * Decimal("0.99")) - Decimal(before))]
    pump.run(2)
    return len(pump.venue.open_orders()) - before


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("deaf", [False, True])
def test_g14_no_order_adds_risk_while_account_and_bot_disagree(what: str, deaf: bool) -> None:
    """`deaf`: the report of it is lost with the user stream, so that only a look can find it."""
    path, change, restore, (there, wanted) = CHANGES[what]
    where = f"{what} of {'BTCUSDT' if what in IN_SYMBOL else 'the account'}"
    pump, puppet = world()
    if deaf:
        pump.venue.refuses.add(LinkKind.PRIVATE)
        pump.venue.cut(LinkKind.PRIVATE)
    by_hand(pump, path, change)
    pump.venue.refuses.clear()
    pump.run(LOOK_MS / 1000 + 5)
    told = f"error: {where} is {there} at the venue, the bot is configured for {wanted}: no new risk until they agree"
    assert pump.log.count(told) == 1
    assert orders(pump, puppet) == 0
    assert orders(pump, puppet, "ETHUSDT") == (what in IN_SYMBOL)
    assert pump.told("Place refused: ACCOUNT_SETTING")
    pump.run(2 * LOOK_MS / 1000)
    assert pump.log.count(told) == 1
    by_hand(pump, path, restore)
    pump.run(LOOK_MS / 1000 + 5)
    assert len(pump.told(f"{where} is {wanted.partition(' (')[0]} again, as configured: new risk is taken again")) == 1
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


@pytest.mark.parametrize(
    ("configured", "path", "params"),
    [
        (AccountSettings(), "/fapi/v1/leverage", {"symbol": "BTCUSDT", "leverage": 3}),
        (AccountSettings(), "/fapi/v1/marginType", {"symbol": "BTCUSDT", "marginType": "ISOLATED"}),
        (CONFIGURED, "/fapi/v1/leverage", {"symbol": "BNBUSDT", "leverage": 3}),
        (CONFIGURED, "/fapi/v1/marginType", {"symbol": "BNBUSDT", "marginType": "ISOLATED"}),
    ],
)
def test_what_the_configuration_does_not_name_may_be_anything(configured: AccountSettings, path: str, params: Params) -> None:
    """Settings that are not configured, and those of a contract that no strategy trades."""
    pump, puppet = world(configured)
    pump.venue.exchange.admit("BNBUSDT", pump.now_ms)
    by_hand(pump, path, params)
    pump.run(LOOK_MS / 1000 + 5)
    assert not pump.told("configured for")
    assert pump.engine.state.trading.settings == {}
    assert orders(pump, puppet) == 1
