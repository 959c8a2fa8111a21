"""What a call costs, band by band."""

from __future__ import annotations

import re

import pytest

from coldframe.wire import weights
from coldframe.wire.weights import BATCH, ORDER, by_depth, by_klines, by_symbol, flat
from tests.conftest import needs_shared
from tests.wire.seeds import pages


@needs_shared
def test_the_weight_of_a_snapshot_is_that_of_the_seeds() -> None:
    table = pages()["004"].split("Adjusted based on the limit:")[1].split("Request Parameters")[0]
    rows = re.findall(r"^\|\s*(\d[\d, ]*?)\s*\|\s*(\d+)\s*\|$", table, re.MULTILINE)
    assert [(limits, weight) for limits, weight in rows] == [("5, 10, 20, 50", "2"), ("100", "5"), ("500", "10"), ("1000", "20")]
    for limits, weight in rows:
        for limit in limits.split(", "):
            assert by_depth({"symbol": "BTCUSDT", "limit": limit}) == int(weight)


def test_snapshot_without_a_limit_costs_the_documented_weight() -> None:
    assert by_depth({}) == by_depth({"limit": ""}) == by_depth({"limit": "500"}) == 10


@pytest.mark.parametrize(
    ("limit", "weight"),
    [(1, 1), (99, 1), (100, 2), (101, 2), (499, 2), (500, 5), (501, 5), (1000, 5), (1001, 10), (1500, 10)],
)
def test_the_bands_of_klines(limit: int, weight: int) -> None:
    assert by_klines({"limit": str(limit)}) == weight


def test_klines_without_a_limit_are_charged_as_five_hundred() -> None:
    assert by_klines({}) == 5


@pytest.mark.parametrize("limit", ["x", "-5", "1e3", "5.0", " 5", "\u0665", "\u00b2", "1_0", "9" * 5000])
def test_a_limit_that_is_no_number_is_charged_as_the_default(limit: str) -> None:
    assert by_depth({"limit": limit}) == 10
    assert by_klines({"limit": limit}) == 5


def test_all_symbols_are_dearer_than_one() -> None:
    weight = by_symbol(1, 40)
    assert weight({"symbol": "BTCUSDT"}) == weight({"pair": "BTCUSDT"}) == 1
    assert weight({}) == weight({"symbol": ""}) == weight({"limit": "5"}) == 40


def test_orders_take_no_weight_and_batches_five() -> None:
    assert (ORDER.weight({}), ORDER.orders_10s, ORDER.orders_1m) == (0, 1, 1)
    assert (BATCH.weight({}), BATCH.orders_10s, BATCH.orders_1m) == (5, 5, 1)
    assert flat(7)({"limit": "1000"}) == 7
    assert weights.HANDSHAKE_WEIGHT == 5
