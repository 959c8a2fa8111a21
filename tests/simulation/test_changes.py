"""What the exchange, or another client, changes during a run: it happens at its time, and the bot takes it in."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe.config.venue import EmbeddedVenue, VenueAccount, VenueChange
from coldframe.core.reconciliation.account_settings import AccountSettings
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.enums import ContractStatus
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

D = Decimal


def world(what: str, value: str, *, symbol: str = "BTCUSDT") -> Pump:
    """Five seconds after the start, one thing changes."""
    settings = EmbeddedVenue(
        accounts=[VenueAccount(name="main", bnb_balance=D(1))],
        changes=[VenueChange(at_s=D(5), what=what, value=value, symbol=symbol)],
    )
    limits = OrderSideLimits(account=AccountSettings(leverage={"BTCUSDT": 20}, margin="cross"))
    channels = ("depth@100ms", "markPrice@1s", "!contractInfo")
    return Pump([Trader(id="mm", make=Puppet)], settings=settings, trading=limits, channels=channels)


@pytest.mark.parametrize(
    ("what", "value", "rule"),
    [
        ("tick", "0.5", lambda filters: filters.tick == D("0.5")),
        ("step", "0.01", lambda filters: filters.lot.step == filters.market_lot.step == D("0.01")),
        ("min_notional", "100", lambda filters: filters.min_notional == 100),
    ],
)
def test_b11_new_rules_of_a_contract_reach_the_bot(what: str, value: str, rule: object) -> None:
    pump = world(what, value)
    pump.run(4)
    assert not rule(pump.engine.state.instruments["BTCUSDT"].filters)  # type: ignore[operator]
    pump.until(lambda: rule(pump.engine.state.instruments["BTCUSDT"].filters), 30)  # type: ignore[operator]


def test_b10_a_contract_that_leaves_trading_takes_no_more_orders() -> None:
    pump = world("status", "SETTLING")
    pump.until(lambda: pump.engine.state.instruments["BTCUSDT"].status is ContractStatus.SETTLING, 30)
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010"}
    assert pump.venue.by_hand("POST", "/fapi/v1/order", order).status == 400


def test_smaller_brackets_are_known_within_a_minute() -> None:
    pump = world("brackets", "0.5")
    pump.run(3)
    before = pump.engine.state.caps["BTCUSDT"].notional
    pump.until(lambda: pump.engine.state.caps["BTCUSDT"].notional == before / 2, 70)


@pytest.mark.parametrize(
    ("what", "value", "told"),
    [
        ("leverage", "50", "leverage of BTCUSDT is 50 at the venue"),
        ("margin", "isolated", "margin mode of BTCUSDT is isolated at the venue"),
        ("position_mode", "hedge", "position mode of the account is hedge mode at the venue"),
        ("asset_mode", "multi", "asset mode of the account is multi-assets mode at the venue"),
    ],
)
def test_g14_settings_changed_by_the_plan_are_told(what: str, value: str, told: str) -> None:
    pump = world(what, value)
    pump.run(4)
    assert not pump.told(told)
    pump.until(lambda: bool(pump.told(told)), 70)


def test_fees_in_bnb_agreement_and_funding_interval_change() -> None:
    for what, value, is_so in (
        ("fee_burn", "on", lambda venue: venue.books().account.fee_burn),
        ("agreement", "signed", lambda venue: venue.books().account.tradfi_signed),
        ("funding_interval_h", "1", lambda venue: venue.exchange.markets["BTCUSDT"].public_data.prices.interval_ms == 3_600_000),
    ):
        pump = world(what, value)
        pump.run(4)
        assert not is_so(pump.venue)  # type: ignore[no-untyped-call]
        pump.run(2)
        assert is_so(pump.venue)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("what", "value", "symbol", "said"),
    [
        ("tick", "0.1", "", "needs a symbol"),
        ("margin", "crossed", "BTCUSDT", "cross or isolated"),
        ("leverage", "-5", "BTCUSDT", "a whole number between 1 and"),
        ("leverage", "2.5", "BTCUSDT", "a whole number between 1 and"),
        ("leverage", "٢", "BTCUSDT", "a whole number between 1 and"),
        ("tick", "0.0", "BTCUSDT", "a number between 0.00000001 and"),
        ("tick", "0.0000000000001", "BTCUSDT", "a number between 0.00000001 and"),
        ("funding_interval_h", "0", "BTCUSDT", "a whole number between 1 and"),
        ("status", "SETLING", "BTCUSDT", "SETTLING"),
        ("listing", "gone", "BTCUSDT", "listed or pending or delisted"),
        ("agreement", "yes", "", "signed or unsigned"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(what: str, value: str, symbol: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        VenueChange(at_s=D(0), what=what, value=value, symbol=symbol)


def test_a_change_of_an_unknown_account_is_refused() -> None:
    change = VenueChange(at_s=D(0), what="fee_burn", value="on", account="other")
    with pytest.raises(ValueError, match="there is no account 'other'; there is main"):
        EmbeddedVenue(changes=[change])
