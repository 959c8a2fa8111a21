"""Contracts with their rules: rounding to the side that is safe, and lists that survive a broken row."""

from __future__ import annotations

import gzip
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.enums import ContractStatus, Side
from coldframe.model.instruments import Instrument, Instruments
from coldframe.testing import instrument
from coldframe.wire.codec import Census, decode
from coldframe.wire.filters import check_order
from coldframe.wire.reference import ExchangeInfo, SymbolInfo
from tests.conftest import SHARED, needs_shared

#: The contract of protocol.md 6.5, in short.
ROW: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "pair": "BTCUSDT",
    "contractType": "PERPETUAL",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "pricePrecision": 2,
    "quantityPrecision": 3,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "100.00", "maxPrice": "4000000", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        {"filterType": "MIN_NOTIONAL", "notional": "50"},
    ],
    "orderTypes": ["LIMIT", "MARKET"],
    "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
}


def info(**changes: Any) -> SymbolInfo:
    return decode(SymbolInfo, msgspec.json.encode(ROW | changes), Census())


def test_a_row_becomes_a_contract() -> None:
    made = Instrument.of(info())
    assert (made.tick, made.step, made.min_quantity) == (Decimal("0.10"), Decimal("0.001"), Decimal("0.001"))
    assert made.trading
    assert made.order_types == {"LIMIT", "MARKET"}
    assert made.times_in_force == {"GTC", "IOC", "FOK", "GTX"}
    assert (made.base_asset, made.quote_asset, made.margin_asset) == ("BTC", "USDT", "USDT")


@pytest.mark.parametrize("status", ["PENDING_TRADING", "SETTLING", "CLOSE", "SOMETHING_NEW"])
def test_only_a_trading_contract_is_traded(status: str) -> None:
    assert not Instrument.of(info(status=status)).trading


STEPS = st.sampled_from(["0.1", "0.05", "1", "10", "0.0001", "0.25"])
VALUES = st.decimals("0.00001", 10**6, places=5)


@given(STEPS, VALUES)
def test_prices_round_to_the_side_that_is_asked_for(tick: str, value: Decimal) -> None:
    made, size = instrument("BTCUSDT", tick=tick), Decimal(tick)
    down, up, near = made.price_down(value), made.price_up(value), made.price(value)
    assert down <= value <= up
    assert value - down < size
    assert up - value < size
    assert abs(near - value) * 2 <= size
    assert {price % size for price in (down, up, near)} == {0}


@given(STEPS, VALUES)
def test_a_quantity_never_grows(step: str, value: Decimal) -> None:
    made = instrument("BTCUSDT", step=step)
    assert made.quantity(value) <= value < made.quantity(value) + Decimal(step)
    assert made.quantity(value) % Decimal(step) == 0


def test_unreadable_contract_is_left_out_and_the_others_stay() -> None:
    broken = [{"filterType": "PRICE_FILTER", "tickSize": "NaN"}]
    listed = Instruments.of([info(), info(symbol="BADUSDT", filters=broken), info(symbol="ETHUSDT")])
    assert list(listed) == ["BTCUSDT", "ETHUSDT"]
    assert len(listed) == 2
    assert "BADUSDT" not in listed
    with pytest.raises(KeyError):
        listed["BADUSDT"]


def test_another_status_changes_that_contract_alone() -> None:
    listed = Instruments([instrument("BTCUSDT"), instrument("ETHUSDT")])
    changed = listed.with_status("BTCUSDT", ContractStatus.SETTLING)
    assert [new.trading for new in changed.values()] == [False, True]
    assert [row.trading for row in listed.values()] == [True, True]
    assert listed.with_status("XYZUSDT", ContractStatus.CLOSE) is listed


@needs_shared
def test_roundings_of_real_contracts_satisfy_their_own_filters() -> None:
    with gzip.open(SHARED / "data/exchangeinfo_2021-07-21.json.gz") as file:
        listed = Instruments.of(decode(ExchangeInfo, file.read().strip(), Census()).symbols)
    assert len(listed) > 100
    for row in listed.values():
        price = row.price(max(row.filters.min_price * 3, row.tick * 1000))
        quantity = row.quantity(row.filters.min_notional * 2 / price + row.min_quantity + row.step)
        assert check_order(row.filters, Side.BUY, quantity, price, price) is None


OFFSET = [
    {"filterType": "PRICE_FILTER", "minPrice": "100.05", "maxPrice": "4000000", "tickSize": "0.10"},
    {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.005"},
]


@given(st.decimals("0.001", "999", places=6), st.decimals("100.05", "3999999", places=6))
def test_steps_are_counted_from_the_least_value(size: Decimal, price: Decimal) -> None:
    """Contracts whose least value is not a multiple of the step: what they round to is legal, and the nearest to its side."""
    made = Instrument.of(info(filters=OFFSET))
    quantity, low, high, near = made.quantity(size), made.price_down(price), made.price_up(price), made.price(price)
    assert (quantity - Decimal("0.001")) % Decimal("0.005") == 0
    assert size - Decimal("0.005") < quantity <= size
    assert all((each - Decimal("100.05")) % Decimal("0.10") == 0 for each in (low, high, near))
    assert low <= price <= high < low + Decimal("0.2")
    assert abs(near - price) <= Decimal("0.05")
    assert made.filters.check_price(near) is None
    assert made.filters.check_quantity(quantity, market=False) is None


def test_below_the_least_value_nothing_becomes_negative() -> None:
    made = Instrument.of(info(filters=OFFSET))
    assert made.quantity(Decimal("0.0009")) == 0
    assert made.price_down(Decimal("50.07")) == Decimal("50.00")
