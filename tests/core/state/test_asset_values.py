"""What money is worth: at par by a table, by a price, or estimated where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.state.asset_values import AT_PAR, CAUTIOUS_FEE_RATE, AssetValues
from coldframe.core.state.positions import StrategyPositions
from tests.core.addingup import profit_of
from tests.core.told import D


def test_dollars_count_at_par_and_each_says_why() -> None:
    prices = AssetValues({"USDCUSDT": D("0.97")})
    assert [prices.of(asset) for asset in (*AT_PAR, "")] == [1] * (len(AT_PAR) + 1)
    assert all(AT_PAR.values())
    assert {"USDT", "USDC", "BFUSD", "BNFCR"} <= set(AT_PAR)


@pytest.mark.parametrize(
    ("marks", "rates", "price"),
    [({}, {}, None), ({"BNBUSDT": D(600)}, {}, 600), ({"BNBUSDT": D(600)}, {"BNB": D(601)}, 601), ({"BNBUSDC": D(600)}, {}, None)],
)
def test_an_asset_has_its_own_rate_or_the_mark_of_its_contract(marks: dict, rates: dict, price: int | None) -> None:
    prices = AssetValues(marks)
    prices.rates.update(rates)
    assert prices.of("BNB") == price


def test_fee_without_price_counts_as_the_taker_rate() -> None:
    account, prices = StrategyPositions(), AssetValues()
    account.pay(D("0.001"), "BNB", D(2_000))
    account.pay(D("0.5"), "USDT", D(1_000))
    assert account.fees_paid(prices) == D("0.5") + 2_000 * CAUTIOUS_FEE_RATE
    assert profit_of(account, prices) == -account.fees_paid(prices)
    prices.fee_rate = D("0.0005")
    assert account.fees_paid(prices) == D("1.5")
    prices.rates["BNB"] = D(600)
    assert account.fees_paid(prices) == D("1.1")


def test_a_fill_that_is_taken_back_takes_its_estimate_with_it() -> None:
    account = StrategyPositions()
    account.pay(D("0.001"), "BNB", D(2_000))
    account.pay(D("-0.001"), "BNB", D(-2_000))
    assert account.fees_paid(AssetValues()) == 0


def test_funding_without_a_price_is_left_out_and_named() -> None:
    prices = AssetValues()
    assert prices.worth({"BNB": D(3), "USDC": D(2)}) == 2
    assert prices.unpriced(["BNB", "USDC", "ETH"]) == ["BNB", "ETH"]


ASSETS = st.sampled_from(["USDT", "BNB", "ETH", "XYZ"])
FEES = st.lists(st.tuples(ASSETS, st.integers(-50, 500), st.integers(1, 10_000)), max_size=20)


@given(FEES, st.dictionaries(ASSETS, st.integers(1, 1_000)))
def test_fees_are_the_sum_over_fills_each_priced_or_estimated(fees: list, rates: dict) -> None:
    account, prices = StrategyPositions(), AssetValues()
    prices.rates.update({asset: D(price) for asset, price in rates.items()})
    expected = D(0)
    for asset, thousandths, notional in fees:
        fee = D(thousandths) / 1000
        account.pay(fee, asset, D(notional))
        if asset == "USDT":
            expected += fee
        elif asset in rates:
            expected += fee * rates[asset]
        elif fee:
            expected += notional * prices.fee_rate
    assert account.fees_paid(prices) == expected
