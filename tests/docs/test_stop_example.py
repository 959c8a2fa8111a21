"""The stop that `docs/orders.md` shows is placed as it stands there."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import coldframe
from coldframe import OrderType, Side
from coldframe.testing import StrategyBench

ORDERS = Path(__file__).resolve().parents[2] / "docs" / "orders.md"


def test_the_example_protects_what_was_bought() -> None:
    (body,) = re.findall(r"```python\n(.*?)```", ORDERS.read_text(), re.DOTALL)
    known = {name: getattr(coldframe, name) for name in coldframe.__all__} | {"Decimal": Decimal}
    exec(f"class Protects:\n{body}", known)
    bench = StrategyBench(known["Protects"]())
    (stop,) = bench.fill("BTCUSDT", Side.BUY, "42000", "0.002")
    assert (stop.type, stop.side, stop.quantity, stop.trigger_price) == (
        OrderType.STOP_MARKET,
        Side.SELL,
        Decimal("0.002"),
        Decimal("41580.0"),
    )
    order, _ = bench.wait(stop)
    bench.trigger(order)
    assert bench.fill_order(order, "41579", "0.002") == []
