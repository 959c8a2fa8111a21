"""The arithmetic of the oracle: what the open orders of a strategy can make of its position."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe.enums import Side
from tests.simulation.orderoracle import Reach


@pytest.mark.parametrize(
    ("held", "buys", "sells", "closing_sells", "worst"),
    [
        ("0", "2", "3", "0", "3"),
        ("1", "2", "3", "0", "3"),
        ("4", "0", "3", "4", "4"),
        ("4", "0", "5", "4", "5"),
        ("4", "0", "5", "9", "5"),
        ("-1", "0", "3", "9", "4"),
    ],
)
def test_what_only_closes_ends_at_zero(held: str, buys: str, sells: str, closing_sells: str, worst: str) -> None:
    reach = Reach()
    reach.add(Side.BUY, Decimal(buys), closing=False)
    reach.add(Side.SELL, Decimal(sells), closing=False)
    reach.add(Side.SELL, Decimal(closing_sells), closing=True)
    assert reach.worst(Decimal(held)) == Decimal(worst)
    mirrored = Reach(reach.sells, reach.buys, reach.closing_sells, reach.closing_buys)
    assert mirrored.worst(-Decimal(held)) == Decimal(worst)
