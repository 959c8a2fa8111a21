"""A strategy that buys once, protects what it has bought, and keeps a bid far below the market."""

from __future__ import annotations

from pathlib import Path

from tests.scenes.support import Running, VenueProcess, live_config, wait_until

STRATEGY = '''"""Buys once, protects what it has bought, and keeps a bid far below the market."""

from decimal import Decimal

from coldframe import OrderType, Place, Side, hookimpl


class Careful:
    def __init__(self):
        self.done = False

    @hookimpl
    def on_book(self, event, view):
        if self.done or not view.trading_allowed(event.symbol) or view.position(event.symbol):
            return None
        self.done = True
        low = view.instrument(event.symbol).price(view.book(event.symbol).best_bid * Decimal("0.97"))
        bought = Place(symbol=event.symbol, side=Side.BUY, type=OrderType.MARKET, quantity=Decimal("0.010"))
        return [bought, Place(symbol=event.symbol, side=Side.BUY, price=low, quantity=Decimal("0.005"))]

    @hookimpl
    def on_fill(self, event, view):
        trigger = view.instrument(event.symbol).price(event.price * Decimal("0.98"))
        return Place(
            symbol=event.symbol,
            side=Side.SELL,
            type=OrderType.STOP_MARKET,
            quantity=event.position,
            trigger_price=trigger,
            reduce_only=True,
        )
'''
TABLE = 'id = "mm"\nplugin = "careful.py:Careful"\nsymbols = ["BTCUSDT"]\nbudget = { max_position = "1", max_notional = "20000" }\n'


def bot(folder: Path, served: VenueProcess, orders: str = "") -> Path:
    """Its configuration."""
    (folder / "careful.py").write_text(STRATEGY)
    return live_config(folder, served, strategy=TABLE, orders=orders)


def stops(served: VenueProcess) -> list[str]:
    return [row["clientAlgoId"] for row in served.ask("/fapi/v1/openAlgoOrders", symbol="BTCUSDT")]


def bids(served: VenueProcess) -> list[str]:
    return [row["clientOrderId"] for row in served.ask("/fapi/v1/openOrders", symbol="BTCUSDT")]


def position(served: VenueProcess) -> float:
    return sum(float(row["positionAmt"]) for row in served.ask("/fapi/v3/positionRisk", symbol="BTCUSDT"))


def ready(served: VenueProcess, running: Running) -> None:
    """Its stop and its bid stand at the venue."""
    wait_until(lambda: running.process.poll() is not None or (len(stops(served)) == len(bids(served)) == 1), "at work")
    assert running.process.poll() is None, running.log
