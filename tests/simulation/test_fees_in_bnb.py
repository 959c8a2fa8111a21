"""Fees in BNB from end to end: the exchange charges them, the bot values them, limits see them, a restart keeps them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import Place, Side, Target
from coldframe.config.venue import EmbeddedVenue, VenueAccount
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.model.effects import LinkKind
from tests.core.addingup import profit_of
from tests.core.looking import view_of
from tests.simulation.pump import Pump, Trader
from tests.simulation.still import StillMarket
from tests.simulation.strategies import Puppet

D = Decimal
#: 60,000 USDT at 5 basis points are 30 USDT, or 0.9 of that in BNB at 600.
FEE_BNB, FEE_USDT = D("0.045"), D(27)


def world(
    *, bnb: str = "5", listed: bool = True, budget: Budget | None = None, risk: RiskLimits | None = None
) -> tuple[Pump, Puppet]:
    """A bot that trades BTCUSDT only, on an account that pays its fees in BNB. `listed`: whether there is a contract BNBUSDT."""
    puppet = Puppet()
    account = VenueAccount(name="main", balance=D(100_000), bnb_balance=D(bnb), fee_burn=True)
    settings = EmbeddedVenue(accounts=[account])
    market = StillMarket(["BTCUSDT", "BNBUSDT"] if listed else ["BTCUSDT"], 1_700_000_000_000)
    trader = Trader(id="mm", make=lambda: puppet, budget=budget or Budget())
    return Pump([trader], settings=settings, market=market, risk=risk or RiskLimits()), puppet


def turn_over(pump: Pump, puppet: Puppet, times: int = 1) -> None:
    """Buys 1 BTC and sells it again, as long as that is allowed. The spread is small: what is lost is the fees."""
    puppet.patient = False
    for _ in range(times):
        for side in (Side.BUY, Side.SELL):
            fills = pump.engine.accounts["mm"].fills
            puppet.wanted = [Place(symbol="BTCUSDT", side=side, quantity=D(1), price=D(61_000 if side is Side.BUY else 59_000))]
            pump.until(lambda before=fills: pump.engine.accounts["mm"].fills > before or bool(refusals(pump)), 5)  # type: ignore[misc]
            pump.run(1)
            if refusals(pump):
                return


def refusals(pump: Pump) -> dict[str, str]:
    return pump.engine.runtimes.get("mm").refusals


def profit(pump: Pump) -> Decimal:
    return profit_of(pump.engine.accounts["mm"], pump.engine.state.prices)


def near(value: Decimal, expected: Decimal) -> bool:
    return abs(value - expected) < D("0.2")


@pytest.mark.parametrize("listed", [True, False])
def test_g13_fees_in_bnb_count_at_the_price_of_bnb(listed: bool) -> None:
    pump, puppet = world(listed=listed)
    turn_over(pump, puppet)
    pump.run(3)
    account = pump.engine.accounts["mm"]
    assert set(account.fees) == {"BNB"}
    assert near(account.fees["BNB"], 2 * FEE_BNB)
    assert pump.venue.books().account.bnb == 5 - account.fees["BNB"]
    assert near(account.fees_paid(pump.engine.state.prices), 2 * FEE_USDT)
    assert profit(pump) == account.realized - account.fees["BNB"] * pump.engine.state.prices.of("BNB")  # type: ignore[operator]
    assert view_of(pump.engine).fees() == account.fees_paid(pump.engine.state.prices)


@pytest.mark.parametrize("whose", ["strategy", "account"])
def test_g13_max_loss_trips_by_fees_in_bnb(whose: str) -> None:
    limit = D(200)
    budget, risk = (Budget(max_loss=limit), None) if whose == "strategy" else (None, RiskLimits(max_loss=limit))
    pump, puppet = world(budget=budget, risk=risk)
    turn_over(pump, puppet, times=6)
    assert "LOSS" in refusals(pump)
    # The limit, and what one order more costs.
    assert limit <= -profit(pump) <= limit + 2 * FEE_USDT + 5
    assert pump.told("no new risk")


def test_g13_max_drawdown_trips_by_fees_in_bnb() -> None:
    pump, puppet = world(risk=RiskLimits(max_drawdown=D(120)))
    turn_over(pump, puppet, times=4)
    assert "DRAWDOWN" in refusals(pump)


def test_g13_when_the_bnb_is_spent_fees_go_on_in_usdt() -> None:
    pump, puppet = world(bnb="0.1")
    turn_over(pump, puppet, times=2)
    account = pump.engine.accounts["mm"]
    assert set(account.fees) == {"BNB", "USDT"}
    assert near(account.fees["BNB"], 2 * FEE_BNB)
    assert near(account.fees["USDT"], D(60))


def test_g13_a_price_that_moves_moves_the_loss() -> None:
    pump, puppet = world()
    turn_over(pump, puppet)
    pump.run(3)
    before = profit(pump)
    pump.market.move("BNBUSDT", D(900))
    pump.run(40)
    assert near(profit(pump) - before, -pump.engine.accounts["mm"].fees["BNB"] * 300)
    assert not [call for call, _ in pump.sent if call == "GET /fapi/v1/premiumIndex"][1:]


def test_g13_a_restart_knows_what_the_fees_are_worth() -> None:
    pump, puppet = world(budget=Budget(max_loss=D(1_000)))
    turn_over(pump, puppet)
    pump.run(3)
    before = profit(pump)
    pump.restart()
    assert near(profit(pump), before)
    turn_over(pump, puppet)
    pump.run(3)
    assert near(pump.engine.accounts["mm"].fees["BNB"], 4 * FEE_BNB)


def test_g13_fees_without_a_price_are_estimated_until_it_arrives() -> None:
    pump, puppet = world()
    call = pump.venue.call
    refused = ["premiumIndex", "assetIndex", "commissionRate"]
    pump.venue.call = lambda request, back: None if request.path.rpartition("/")[2] in refused else call(request, back)  # type: ignore[method-assign]
    turn_over(pump, puppet)
    pump.run(3)
    account = pump.engine.accounts["mm"]
    assert near(account.fees_paid(pump.engine.state.prices), D(60))  # 0.05 % of 120,000
    assert len(pump.told("fees in BNB: its price is not known")) == 1


def test_bnb_is_priced_after_the_market_link_was_lost() -> None:
    pump, puppet = world()
    turn_over(pump, puppet)
    pump.run(3)
    pump.venue.cut(LinkKind.MARKET)
    pump.run(10)
    pump.market.move("BNBUSDT", D(300))
    pump.run(40)
    assert near(pump.engine.state.prices.of("BNB") or D(0), D(300))


def test_fee_burn_can_be_switched_off_by_another_client() -> None:
    pump, puppet = world()
    puppet.wanted = [Target("BTCUSDT", D("0.1"))]
    pump.until(lambda: pump.position("mm") == D("0.1"))
    assert pump.venue.by_hand("POST", "/fapi/v1/feeBurn", {"feeBurn": "false"}).status == 200
    assert b'"feeBurn":false' in pump.venue.by_hand("GET", "/fapi/v1/feeBurn", {}).body
    puppet.wanted = [Target("BTCUSDT", D(0))]
    pump.until(lambda: pump.position("mm") == 0)
    assert set(pump.engine.accounts["mm"].fees) == {"BNB", "USDT"}
