"""Money: fees, profit, funding, break-even, margin, all exact."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.config.venue import VenueAccount
from coldframe.enums import PositionSide, Side
from coldframe.exchange.contracts import to_scaled
from coldframe.exchange.trading.entities import Account, cents
from coldframe.exchange.trading.settlement import book_fill
from tests.exchange.rig import START_MS, SYMBOL, Rig, account_updates, last_order, symbol_market

BUY, SELL = Side.BUY, Side.SELL
D = Decimal


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.book()
    return made


# -- fills ------------------------------------------------------------------------------------------------------------


def test_makers_and_takers_pay_their_own_rates(rig: Rig) -> None:
    rig.place("BUY", "1")
    assert rig.wallet() == D("10000") - D("1000.1") * D("0.0005")
    rig.place("BUY", "1", "1000.0", account="b")
    rig.public_takes(SELL, "1", "1000.0")
    assert rig.wallet("b") == D("10000") - D("1000.0") * D("0.0002")


def test_profit_is_realised_from_the_average_entry_price(rig: Rig) -> None:
    rig.place("BUY", "1", "1000.0")
    rig.place("BUY", "3", "990.0")
    rig.public_takes(SELL, "1", "1000.0")
    rig.symbol_market.leave(BUY, 9999 * 10**11, 10**18, rig.now_ms)
    rig.public_takes(SELL, "3", "990.0")
    position = rig.exchange.state.books("a").account.position(SYMBOL, PositionSide.BOTH)
    assert (position.quantity, position.entry) == (4, D("992.5"))
    rig.events()
    rig.add_liquidity(BUY, "1000.0", "2")
    rig.place("SELL", "2", "1000.0")
    report = last_order(rig.events()).order
    assert D(report.realized_pnl) == D("15")
    assert position.entry == D("992.5")


def test_a_fill_beyond_the_position_turns_it_round(rig: Rig) -> None:
    rig.place("BUY", "1")
    rig.place("SELL", "3")
    position = rig.exchange.state.books("a").account.position(SYMBOL, PositionSide.BOTH)
    assert (position.quantity, position.entry) == (-2, D("999.9"))
    assert position.realized == D("-0.2")


def test_account_updates_hold_absolute_values(rig: Rig) -> None:
    rig.place("BUY", "1")
    rig.mark("1010.1")
    rig.place("BUY", "1")
    (first, second) = account_updates(rig.events())
    assert second.change.balances[0].wallet_balance == "9998.99990000"
    row = second.change.positions[0]
    assert (row.symbol, row.quantity, row.entry_price, row.unrealized_pnl) == (SYMBOL, "2", "1000.1", "20.00000000")
    assert (first.change.reason, first.change.balances[0].change) == ("ORDER", "0")


def test_the_break_even_price_contains_the_fees(rig: Rig) -> None:
    rig.place("BUY", "2")
    position = rig.exchange.state.books("a").account.position(SYMBOL, PositionSide.BOTH)
    assert position.break_even() == D("1000.1") * D("1.0005")
    rig.place("SELL", "2")
    assert position.break_even() == 0


def test_income_and_trades_are_listed(rig: Rig) -> None:
    order_id = rig.place("BUY", "1")["orderId"]
    rig.place("SELL", "1")
    first, second = rig.call("GET /fapi/v1/userTrades", symbol=SYMBOL)
    assert (first["orderId"], first["commission"], first["buyer"], first["maker"]) == (order_id, "0.50005000", True, False)
    assert (second["realizedPnl"], second["side"]) == ("-0.20000000", "SELL")
    assert [row["id"] for row in rig.call("GET /fapi/v1/userTrades", symbol=SYMBOL, fromId=second["id"])] == [second["id"]]
    kinds = [row["incomeType"] for row in rig.call("GET /fapi/v1/income")]
    assert kinds == ["COMMISSION", "REALIZED_PNL", "COMMISSION"]
    assert rig.call("GET /fapi/v1/userTrades") == -1102


_FILL = st.tuples(st.sampled_from([BUY, SELL]), st.integers(9000, 11_000), st.integers(1, 5000))


@given(st.lists(_FILL, min_size=1, max_size=30))
def test_profit_and_position_add_up_however_the_fills_come(fills: list[tuple[Side, int, int]]) -> None:
    """Cash spent and received, valued at the last price, is what the wallet and the open profit together gained."""
    account = Account(name="x", wallet=D(0), default_leverage=20, maker_fee=D("0.0002"))
    position = account.position(SYMBOL, PositionSide.BOTH)
    cash, fees = D(0), D(0)
    for side, price_tenths, thousandths in fills:
        price, quantity = D(price_tenths) / 10, D(thousandths) / 1000
        booked = book_fill(account, position, side, price, quantity, D("0.0002"), 1)
        cash -= side.sign * price * quantity
        fees += booked.commission
        assert booked.commission == cents(price * quantity * D("0.0002"))
    last = D(fills[-1][1]) / 10
    worth = account.wallet + fees + position.unrealized(last)
    # Entry prices are kept to twelve digits, so every opening may lose a few units of the last one per unit held.
    assert abs(worth - (cash + position.quantity * last)) < D("0.000001")
    assert position.quantity == sum(fill[0].sign * D(fill[2]) / 1000 for fill in fills)


# -- funding ------------------------------------------------------------------------------------------------------------


def test_funding_is_exchanged_once_at_its_time() -> None:
    rig = Rig(symbol_market(funding_ms=60_000), funding_interval_s=60)
    rig.book()
    rig.pass_ms(1000)
    rig.place("BUY", "2")
    rig.place("SELL", "1", account="b")
    before, before_b = rig.wallet(), rig.wallet("b")
    rig.symbol_market.public_data.prices.funding_rate = D("0.0003")
    rig.mark("1100.0")
    rig.events()
    rig.pass_ms(60_000 - rig.now_ms % 60_000)
    assert rig.wallet() == before - D(2) * D("1100.0") * D("0.0003")
    assert rig.wallet("b") == before_b + D("1100.0") * D("0.0003")
    (update,) = account_updates(rig.events())
    assert (update.change.reason, update.change.symbol, update.change.balances[0].change) == (
        "FUNDING_FEE",
        SYMBOL,
        "-0.66000000",
    )
    assert update.transaction_ms % 60_000 == 0
    rig.pass_ms(1000)
    assert account_updates(rig.events()) == []
    assert rig.call("GET /fapi/v1/income", incomeType="FUNDING_FEE")[0]["income"] == "-0.66000000"
    assert rig.call("GET /fapi/v1/fundingRate", symbol=SYMBOL)[0]["fundingRate"] == "0.0003"


# -- margin -----------------------------------------------------------------------------------------------------------


def _account(rig: Rig, account: str = "a") -> dict[str, object]:
    return rig.call("GET /fapi/v3/account", account)  # type: ignore[return-value]


def test_open_orders_tie_up_the_greater_of_both_sides(rig: Rig) -> None:
    rig.place("BUY", "10", "990.0")
    assert _account(rig)["totalOpenOrderInitialMargin"] == "495.00000000"
    rig.place("SELL", "5", "1010.0")
    assert _account(rig)["totalOpenOrderInitialMargin"] == "495.00000000"
    rig.place("SELL", "10", "1010.0")
    assert _account(rig)["totalOpenOrderInitialMargin"] == "757.50000000"
    assert _account(rig)["availableBalance"] == "9242.50000000"


def test_a_position_ties_up_its_notional_over_the_leverage(rig: Rig) -> None:
    rig.call("POST /fapi/v1/leverage", symbol=SYMBOL, leverage=50)
    rig.place("BUY", "10")
    rig.mark("1010.0")
    row = _account(rig)
    assert (row["totalPositionInitialMargin"], row["totalUnrealizedProfit"]) == ("202.00000000", "99.00000000")
    assert row["totalMaintMargin"] == "40.40000000"
    assert row["totalMarginBalance"] == "10093.99950000"
    assert row["availableBalance"] == "9891.99950000"


def test_order_beyond_the_margin_is_refused_a_reduction_is_not(rig: Rig) -> None:
    assert rig.place("BUY", "202.1", "990.0") == -2019
    assert isinstance(rig.place("BUY", "201", "990.0"), dict)
    assert rig.place("BUY", "2", "990.0") == -2019
    assert isinstance(rig.place("SELL", "100", "1010.0"), dict)


def test_a_loss_at_once_counts_against_the_margin() -> None:
    rig = Rig(accounts=(VenueAccount(name="a", balance=D(100), leverage=20),))
    rig.add_liquidity(SELL, "1040.0", "10")
    # 1.9 at 1040 ties up 98.8, and is worth 76 less at the mark price of 1000.
    assert rig.place("BUY", "1.9", "1040.0") == -2019
    assert isinstance(rig.place("BUY", "1", "1000.0"), dict)


def test_the_leverage_bounds_the_position(rig: Rig) -> None:
    rig = Rig(accounts=(VenueAccount(name="a", balance=D(1_000_000), leverage=125),))
    assert isinstance(rig.place("BUY", "300", "1000.0"), dict)
    assert rig.place("BUY", "0.1", "1000.0") == -2027


def test_liquidation_prices_bring_the_margin_to_its_maintenance(rig: Rig) -> None:
    rig.place("BUY", "100")
    (row,) = rig.call("GET /fapi/v3/positionRisk", symbol=SYMBOL)
    price = D(row["liquidationPrice"])
    wallet = rig.wallet()
    balance = wallet + 100 * (price - D("1000.1"))
    assert abs(balance - rig.symbol_market.contract.maintenance(100 * price)) < D(10)
    assert D(row["entryPrice"]) == D("1000.1")


# -- isolated margin ------------------------------------------------------------------------------------------------------


def test_an_isolated_position_has_a_wallet_of_its_own(rig: Rig) -> None:
    assert rig.call("POST /fapi/v1/marginType", symbol=SYMBOL, marginType="ISOLATED")["code"] == 200
    rig.place("BUY", "10")
    (row,) = rig.call("GET /fapi/v3/positionRisk", symbol=SYMBOL)
    assert row["isolatedWallet"] == "500.05000000"
    assert _account(rig)["totalCrossWalletBalance"] == "9494.94950000"
    assert rig.call("POST /fapi/v1/positionMargin", symbol=SYMBOL, amount="100", type=1)["code"] == 200
    (row,) = rig.call("GET /fapi/v3/positionRisk", symbol=SYMBOL)
    assert row["isolatedWallet"] == "600.05000000"
    assert rig.call("POST /fapi/v1/positionMargin", symbol=SYMBOL, amount="300", type=2) == -4051
    assert rig.call("POST /fapi/v1/positionMargin", symbol=SYMBOL, amount="99999", type=1) == -4050
    rig.place("SELL", "5")
    (row,) = rig.call("GET /fapi/v3/positionRisk", symbol=SYMBOL)
    assert row["isolatedWallet"] == "300.02500000"
    rig.place("SELL", "5")
    account = rig.exchange.state.books("a").account
    assert account.cross_wallet == account.wallet


def test_clock_of_the_rig_is_the_one_in_the_answers(rig: Rig) -> None:
    assert rig.call("GET /fapi/v1/time") == {"serverTime": START_MS}


# -- funding of each contract ---------------------------------------------------------------------------------------------


def test_each_contract_has_funding_times_of_its_own() -> None:
    rig = Rig(symbol_market("BTCUSDT", funding_ms=60_000), symbol_market("ETHUSDT", funding_ms=20_000), funding_interval_s=60)
    for _ in range(61):
        rig.pass_ms(1000)
    times = [(row.symbol, row.funding_time % 60_000) for row in rig.exchange.clearing.rates]
    assert times.count(("BTCUSDT", 0)) == 1
    assert sorted(at for symbol, at in times if symbol == "ETHUSDT") == [0, 20_000, 40_000]
    (row,) = rig.call("GET /fapi/v1/fundingInfo")
    assert (row["symbol"], row["fundingIntervalHours"], row["adjustedFundingRateCap"]) == ("ETHUSDT", 1, "0.00300000")


def test_a_changed_interval_counts_from_its_next_multiple() -> None:
    rig = Rig(symbol_market(funding_ms=3_600_000), funding_interval_s=3600)
    rig.now_ms = START_MS // 3_600_000 * 3_600_000 + 1
    rig.pass_ms(25 * 60_000)
    rig.exchange.clearing.change_interval(SYMBOL, 600_000, rig.now_ms)
    assert rig.call("GET /fapi/v1/fundingInfo")[0]["symbol"] == SYMBOL
    rig.pass_ms(60_000)
    assert not rig.exchange.clearing.rates
    rig.pass_ms(5 * 60_000)
    assert [row.funding_time % 3_600_000 for row in rig.exchange.clearing.rates] == [30 * 60_000]


def test_a_bound_of_its_own_is_listed_and_kept() -> None:
    rig = Rig()
    prices = rig.symbol_market.public_data.prices
    assert rig.call("GET /fapi/v1/fundingInfo") == []
    prices.cap = Decimal("0.02")
    for _ in range(200):
        prices.follow(to_scaled(Decimal(1300)), Decimal(1000))
    assert Decimal("0.003") < prices.funding_rate <= Decimal("0.02")
    (row,) = rig.call("GET /fapi/v1/fundingInfo")
    assert (row["adjustedFundingRateCap"], row["adjustedFundingRateFloor"]) == ("0.02000000", "-0.02000000")
