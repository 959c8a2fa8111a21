"""Contracts: their texts, their brackets, their margins."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.exchange.contracts import Contract, chosen, contract, fixed, money, tiers, to_scaled, usual_tiers
from coldframe.exchange.synthetic_symbols import SYNTHETIC_SYMBOLS
from coldframe.units import scaled
from tests.exchange.rig import symbol_market

D = Decimal


@pytest.fixture
def listed() -> Contract:
    return symbol_market().contract


@given(st.integers(0, 10**24), st.integers(0, 8))
def test_a_fixed_number_says_exactly_what_it_is(value: int, digits: int) -> None:
    text = fixed(value, digits)
    assert scaled(text) == value
    if value % 10 ** (12 - digits) == 0:
        assert len(text.partition(".")[2]) == digits


@pytest.mark.parametrize(
    ("value", "text"),
    [(D("1000"), "1000.0"), (D("1000.05"), "1000.05"), (10005 * 10**11, "1000.5"), (D(0), "0.0"), (D("-2.5"), "-2.5")],
)
def test_prices_have_the_digits_of_the_contract_or_all_they_need(listed: Contract, value: int | Decimal, text: str) -> None:
    assert listed.price_text(value) == text


def test_products_have_the_digits_of_both(listed: Contract) -> None:
    assert listed.quote_text(to_scaled(D("1000.1")) * to_scaled(D("0.002"))) == "2.0002"


def test_money_has_eight_digits() -> None:
    assert (money(D(1)), money(D("-0.000000001")), money(D("2.123456785"))) == ("1.00000000", "0.00000000", "2.12345678")


def test_brackets_lie_edge_to_edge_and_margins_do_not_jump() -> None:
    for rows in (usual_tiers("BTC"), usual_tiers("DOGE")):
        for lower, upper in pairwise(rows):
            assert lower.notional_cap == upper.notional_floor
            assert lower.initial_leverage > upper.initial_leverage
            edge = lower.notional_cap
            below = edge * lower.maint_margin_ratio - lower.cum
            assert below == edge * upper.maint_margin_ratio - upper.cum


def test_the_bracket_of_a_notional_and_the_bounds_of_a_leverage(listed: Contract) -> None:
    assert listed.tier_of(D(300_000)).bracket == 1
    assert listed.tier_of(D("300000.01")).bracket == 2
    assert listed.tier_of(D(10) ** 12).bracket == 10
    assert listed.max_notional(125) == 300_000
    assert listed.max_notional(20) == 100_000_000
    assert listed.max_notional(126) == 0
    assert listed.maintenance(D(400_000)) == D(400_000) * D("0.005") - D(300)


def test_the_stream_prints_the_same_brackets(listed: Contract) -> None:
    rows = listed.brackets()
    assert [(row.min_leverage, row.max_leverage) for row in rows[:2]] == [(101, 125), (76, 100)]
    assert rows[-1].min_leverage == 1


def test_cum_is_a_plain_number() -> None:
    assert [str(row.cum) for row in tiers((20, 100_000, "0.01"), (10, 1_000_000, "0.02"))] == ["0", "1000"]


def test_a_choice_of_contracts_names_what_there_is_not(listed: Contract) -> None:
    assert chosen([listed], []) == ([listed], [])
    assert chosen([listed], ["X", "BTCUSDT"]) == ([listed], ["X"])


@pytest.mark.parametrize("parameters", SYNTHETIC_SYMBOLS, ids=lambda parameters: parameters.listing.symbol)
def test_the_synthetic_symbols_are_consistent(parameters: object) -> None:
    listing = parameters.listing  # type: ignore[attr-defined]
    made = contract(listing)
    assert made.filters.check_price(parameters.price) is None  # type: ignore[attr-defined]
    assert made.filters.check_quantity(listing.step) is None
    assert made.filters.unknown == ()
    assert listing.tick * 10**listing.price_digits % 1 == 0
    parts = parameters.parts()  # type: ignore[attr-defined]
    assert sum((part.share for part in parts), D(0)) in (0, 1)


def test_rpi_stands_in_the_permission_sets_alone() -> None:
    for parameters in SYNTHETIC_SYMBOLS:
        info = contract(parameters.listing).info
        assert info.time_in_force == ["GTC", "IOC", "FOK", "GTX", "GTD"]
        assert ("RPI" in info.permission_sets) is (info.underlying_type != "EQUITY")
